"""Options of every benchmark: each lists its own, and refuses what it does not know."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import forking
import pytest
from tiny_runs import ENVIRONMENT

from benchmarks.harness.options import command_of, start
from fastitpn.config import fields_of, parse

FOLDER = Path(__file__).parents[2] / "benchmarks"
PACKAGES = [path.parent.name for path in FOLDER.glob("*/__main__.py")]
SCRIPTS = sorted([*PACKAGES, *(path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text())])


@pytest.fixture(params=SCRIPTS)
def script(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"benchmarks.{request.param}")


def required(script: ModuleType) -> list[str]:
    words = {
        "checkerboard": ["weights=runs/pretrain"],
        "acceleration_quality": ["weights=runs/{seed}/pretrain"],
        "token_arena": ["weights=runs/{seed}/pretrain"],
    }
    return words.get(script.__name__.rpartition(".")[2], [])


def test_all_scripts_are_here() -> None:
    commands = [json.loads(path.read_text())["command"] for path in (FOLDER / "results").glob("*.json")]
    stored = {command.split()[2].removeprefix("benchmarks.") for command in commands}
    assert len(SCRIPTS) >= 10
    assert stored <= set(SCRIPTS)


def test_a_misspelt_option_is_refused_with_the_nearest_name(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        start(script.Options, lambda options: pytest.fail("it ran"), [*required(script), "outt=file.json", "speed=3"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "outt: unknown key; did you mean out?" in said
    assert "speed: unknown key" in said
    assert f"python -m {script.__name__} --help lists every option" in said


def test_help_lists_every_option_with_a_sentence(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    start(script.Options, lambda options: pytest.fail("it ran"), ["--help"])
    shown = capsys.readouterr().out
    assert f"python -m {script.__name__} " in shown
    words = shown.split()
    for key, field in fields_of(script.Options).items():
        assert key in words
        assert field.sentence, key


def test_the_command_reads_as_the_same_options(script: ModuleType) -> None:
    options = parse(script.Options, required(script))
    assert command_of(options).split()[:3] == ["python", "-m", script.__name__]
    assert parse(script.Options, command_of(options).split()[3:]) == options


@pytest.mark.parametrize("words", ["arms=scratch;joint, fresh piramid", "seeds=0,-1", "tasks=segmnt", "device=gpu"])
def test_values_are_checked(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import pretraining_quality

    with pytest.raises(SystemExit) as stop:
        start(pretraining_quality.Options, lambda options: pytest.fail("it ran"), [words])
    assert stop.value.code == 2
    assert words.partition("=")[0] in capsys.readouterr().err


def test_places_and_the_choice_of_rows_are_not_written_down() -> None:
    from benchmarks.segmentation import Options

    words = ["weights=/home/someone/project/runs/{seed}/pretrain", "seeds=0,1", "work=/tmp", "out=/tmp/x", "px=64"]
    assert command_of(parse(Options, words)) == (
        "python -m benchmarks.segmentation weights=project/runs/{seed}/pretrain px=64"
    )


def test_commands_that_are_written_down_are_still_understood() -> None:
    from benchmarks import pretraining, pretraining_quality

    options = parse(pretraining.Options, ["sizes=tiny,base", "batch=4", "memory_batch=8", "rounds=3"])
    assert (options.sizes, options.batch, options.memory_batch, options.rounds) == (("tiny", "base"), 4, 8, 3)
    options = parse(pretraining_quality.Options, ["seeds=0", "precision=bf16-mixed", "device=cpu", "out=x.json"])
    assert (options.seeds, options.precision, options.device) == ((0,), "bf16-mixed", "cpu")


@pytest.mark.slow
def test_a_script_ends_with_a_message_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    words = [sys.executable, "-m", "benchmarks.pretraining_loss", "bach=2"]
    done = forking.run(words, env=ENVIRONMENT)
    assert done.returncode == 2
    assert done.stderr.startswith("bach: unknown key; did you mean batch?")
    assert "Traceback" not in done.stderr
