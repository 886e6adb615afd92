"""The Python functions say nothing by themselves; the same verbs on the command line do."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_runs import TRAINING, words

import fastitpn
from fastitpn.cli.main import main
from fastitpn.console import printing

CPU = {"device": "cpu", "workers": 0}


@pytest.fixture(autouse=True)
def said():
    """In place of the fixture that lets all other tests read what is said."""


@pytest.fixture
def verbs(scenes, classifier_run, pretrained_run) -> dict[str, tuple[Callable, list[str], dict]]:
    """A function, the words before its keys, and the keys."""
    start = {"data": scenes.train, "val": scenes.val, "weights": pretrained_run.directory}
    run = str(classifier_run.directory)
    return {
        "finetune": (fastitpn.finetune, ["classify"], {**TRAINING, **start, "steps": 1, "acceleration": "fast"}),
        "evaluate": (fastitpn.evaluate, [run, str(scenes.val)], {**CPU, "acceleration": "fast"}),
        "predict": (fastitpn.predict, [run, str(scenes.val)], CPU),
        "export": (fastitpn.export, ["official", run], {}),
    }


@pytest.mark.parametrize("verb", ["finetune", "evaluate", "predict", "export"])
def test_python_is_silent_and_the_command_line_speaks(verbs, verb, tmp_path, capsys, caplog):
    function, first, keys = verbs[verb]
    end = ".pt" if verb == "export" else ""
    caplog.set_level(logging.INFO, "fastitpn")
    function(*first, **keys, out=tmp_path / f"silent{end}")
    assert capsys.readouterr() == ("", "")
    assert caplog.messages  # who wants to know can ask the log
    assert main([verb, *first, *words(**keys, out=tmp_path / f"spoken{end}")]) == 0
    assert str(tmp_path / f"spoken{end}") in capsys.readouterr().out


def test_a_program_may_ask_for_it(classifier_run, scenes, tmp_path: Path, capsys):
    with printing():
        fastitpn.evaluate(classifier_run.directory, scenes.val, out=tmp_path / "out", **CPU)
    assert "Accuracy by class" in capsys.readouterr().out
