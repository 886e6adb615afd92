"""Completion at the Tab key: the candidates, and bash itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastitpn.cli.candidates import candidates
from fastitpn.cli.main import main
from fastitpn.commands.completion import SCRIPTS
from fastitpn.commands.registry import all_verbs

LINES = [
    ("fastitpn fin", ["finetune"]),
    ("fastitpn finetune ", ["classify", "segment", "detect"]),
    ("fastitpn help wei", ["weights"]),
    ("fastitpn --v", ["--version"]),
    ("fastitpn finetune classify epo", ["epochs="]),
    ("fastitpn finetune classify epochs=3 epo", []),
    ("fastitpn finetune classify multilabel=", ["multilabel=true", "multilabel=false"]),
    ("fastitpn finetune detect detector=cas", ["detector=cascade_mask_rcnn"]),
    ("fastitpn finetune classify acceleration=b", ["acceleration=balanced"]),
    ("fastitpn finetune classify model=fastitpn_t", ["model=fastitpn_tiny"]),
    ("fastitpn finetune classify recipe=classify_sm", ["recipe=classify_small"]),
    ("fastitpn finetune classify weights=published:t", ["weights=published:tiny"]),
    ("fastitpn finetune classify weights=r", ["weights=runs/flowers"]),
    ("fastitpn predict r", ["runs/flowers", "reuse=", "reuse_threshold=", "resize=", "recipe="]),
    ("fastitpn predict other/", ["other/old"]),
    ("fastitpn report compare runs/flowers r", ["runs/flowers", "recipe=", "runs="]),
    ("fastitpn weights get base_", ["base_21k"]),
    ("fastitpn recipes detect_s", ["detect_small"]),
    ("fastitpn completion z", ["zsh"]),
    ("fastitpn nothing ", []),
    ("fastitpn finetune classify data=ph", []),
]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    for run in ("runs/flowers", "other/old"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "run.json").touch()
    (tmp_path / "runs" / "no_run").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("line", "words"), LINES)
def test_candidates(folder, line, words):
    assert sorted(candidates(line, all_verbs())) == sorted(words)


def test_the_command_prints_them(folder, capsys):
    assert main(["completion", "--", "fastitpn finetune cl"]) == 0
    assert capsys.readouterr().out == "classify\n"
    assert main(["completion", "fish"]) == 0
    assert capsys.readouterr().out == SCRIPTS["fish"]


def test_an_unknown_shell(capsys):
    assert main(["completion", "tcsh"]) == 2
    assert "shell: expected one of bash, zsh, fish, got 'tcsh'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("fastitpn finetune cl", "classify"),
        ("fastitpn finetune classify model=fastitpn_t", "fastitpn_tiny"),
        ("fastitpn finetune classify weights=published:t", "tiny"),
    ],
)
def test_bash(folder, line, replies):
    """Bash reads the script and asks a `fastitpn`; of words that `=` divides, it gets the part behind."""
    words = candidates(line, all_verbs())
    bash = f"""
        fastitpn() {{ printf '%s\\n' {" ".join(words)}; }}
        compopt() {{ :; }}
        {SCRIPTS["bash"]}
        COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
        COMP_LINE={line!r} COMP_POINT={len(line)} _fastitpn
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", bash], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [replies]
    assert done.stderr == ""


def test_it_imports_nothing_heavy():
    code = (
        "import sys; from fastitpn.cli.main import main; main(['completion', '--', 'fastitpn finetune detect mod']);"
        "print([name for name in ('torch', 'timm', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["model=", "[]"]
