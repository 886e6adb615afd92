import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import fastitpn
from fastitpn.cli.main import main
from fastitpn.commands.of_checkpoint import keys_of_all
from fastitpn.commands.registry import all_verbs
from fastitpn.commands.verb import Verb
from fastitpn.config import fields_of, parse
from fastitpn.errors import FastITPNError, InputError, TrainingError
from fastitpn.tasks.keys import PredictConfig
from fastitpn.tasks.pretrain.config import PretrainConfig


@pytest.fixture
def calls(monkeypatch):
    """Replaces what the verbs do: the configurations they got, or raises the exception that the test appends."""
    seen: list[object] = []

    def run(config):
        if seen and isinstance(seen[0], BaseException):
            raise seen[0]
        seen.append(config)

    monkeypatch.setattr(Verb, "__call__", lambda self, config: run(config))
    monkeypatch.delenv("FASTITPN_DEBUG", raising=False)
    return seen


def shell(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastitpn.cli", *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_verb_gets_its_configuration(calls):
    assert main(["pretrain", "data=photos", "lr=0.1"]) == 0
    assert main(["predict", "run", "a.jpg"]) == 0
    assert calls == [
        parse(PretrainConfig, ["data=photos", "lr=0.1"]),
        parse(keys_of_all("predict", PredictConfig), ["run", "a.jpg"]),
    ]


def test_a_verb_with_a_task(calls):
    assert main(["finetune", "classify", "data=flowers", "batch=4"]) == 0
    assert (type(calls[0]).__name__, calls[0].batch) == ("ClassifyConfig", 4)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_ends_a_verb_as_ctrl_c_does(name, monkeypatch, capsys, tmp_path):
    number, ended = getattr(signal, name), []

    def wait(self, config):
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        finally:
            ended.append(True)

    monkeypatch.setattr(Verb, "__call__", wait)
    before = signal.getsignal(number)
    assert before is signal.SIG_DFL
    assert main(["inspect", str(tmp_path)]) == 130
    assert (ended, signal.getsignal(number)) == ([True], before)
    assert "Interrupted." in capsys.readouterr().err


def test_a_copy_of_a_command_dies_of_the_signal(monkeypatch, capsys, tmp_path):
    """Data workers, which are forked, are ended by it, and say nothing."""
    codes = []

    def fork(self, config):
        if pid := os.fork():
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            return
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            os._exit(1)

    monkeypatch.setattr(Verb, "__call__", fork)
    assert main(["inspect", str(tmp_path)]) == 0
    assert codes == [-signal.SIGTERM]


def test_a_wrong_configuration_ends_with_2_and_no_run(calls, capsys):
    assert main(["pretrain", "lr=-1"]) == 2
    streams = capsys.readouterr()
    assert "lr: expected a number greater than 0 or auto, got '-1'" in streams.err
    assert "Traceback" not in streams.err
    assert (streams.out, calls) == ("", [])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["pretrian"], "no verb 'pretrian'\n"),
        (
            ["pretrian"],
            "expected: demo, pretrain, finetune, evaluate, predict, app, benchmark, accelerate, visualize, report, "
            "doctor, data, export, recipes, weights, inspect or completion\n"
            "  fix:      fastitpn pretrain",
        ),
        (["zebra"], "fix:      fastitpn --help"),
        (["data=x"], "no verb 'data=x'"),
        (
            ["finetune"],
            "fastitpn finetune needs a task\n  expected: classify, segment or detect\n"
            "  fix:      fastitpn finetune --help",
        ),
        (["finetune", "data=x"], "fastitpn finetune needs a task"),
        (
            ["finetune", "clasify", "data=x"],
            "no task 'clasify'\n  expected: classify, segment or detect\n  fix:      fastitpn finetune classify",
        ),
    ],
)
def test_an_unknown_verb_or_task_names_the_right_one(calls, capsys, words, text):
    assert main(words) == 2
    assert text in capsys.readouterr().err
    assert calls == []


@pytest.mark.parametrize(
    ("error", "exit_code", "text"),
    [
        (
            InputError("no images", where="photos", fix="data=FOLDER"),
            2,
            "no images\n  where:    photos\n  fix:      data=",
        ),
        (TrainingError("the loss is not finite"), 1, "the loss is not finite\n"),
        (FastITPNError("odd"), 1, "odd\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (MemoryError(), 2, "out of memory\n  fix:      batch=32 accumulate=2"),
        (ZeroDivisionError("division by zero"), 1, "ZeroDivisionError: division by zero\n"),
    ],
)
def test_exit_codes(calls, capsys, error, exit_code, text):
    calls.append(error)
    assert main(["pretrain", "data=photos"]) == exit_code
    streams = capsys.readouterr()
    assert text in streams.err
    assert "Traceback" not in streams.err
    assert streams.out == ""


def test_only_an_unexpected_error_offers_the_traceback(calls, capsys, monkeypatch):
    calls.append(ZeroDivisionError("division by zero"))
    main(["pretrain", "data=photos"])
    assert "FASTITPN_DEBUG=1 before the same command prints the traceback" in capsys.readouterr().err
    monkeypatch.setenv("FASTITPN_DEBUG", "1")
    assert main(["pretrain", "data=photos"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    monkeypatch.setenv("FASTITPN_DEBUG", "0")
    main(["pretrain", "data=photos"])
    assert "Traceback" not in capsys.readouterr().err


def test_the_examples_in_the_help_are_right():
    for verb in all_verbs():
        words = verb.example.split()
        assert words[0] == "fastitpn"
        assert tuple(words[1 : 1 + len(verb.words)]) == verb.words
        parse(verb.config, words[1 + len(verb.words) :])


def test_from_the_shell():
    wrong = shell("pretrain", "data=photos", "lr=-1", "epoch=3")
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert "2 errors in the configuration:" in wrong.stderr
    version = shell("--version")
    assert (version.returncode, version.stdout) == (0, f"fastitpn {fastitpn.__version__}\n")


def test_help_from_the_shell_lists_every_key_and_imports_no_torch():
    lines = (
        "import sys;"
        "from fastitpn.cli.main import main;"
        "main(['pretrain', '--help']); assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    shown = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert set(fields_of(PretrainConfig)) <= shown


def test_an_interrupt_from_outside_ends_with_130():
    lines = (
        "import os, signal, sys; from fastitpn.cli import main; from fastitpn.commands.verb import Verb;"
        "Verb.__call__ = lambda self, config: os.kill(os.getpid(), signal.SIGINT);"
        "sys.argv = ['fastitpn', 'demo']; main.entry()"
    )
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "Interrupted.")


def test_the_console_script_is_the_entry():
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    assert tomllib.loads(pyproject.read_text())["project"]["scripts"]["fastitpn"] == "fastitpn.cli.main:entry"


def test_the_package_is_a_command_too():
    words = [sys.executable, "-m", "fastitpn", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "src"})
    assert (done.returncode, done.stdout.split()[-1]) == (0, fastitpn.__version__)
