"""The attacks: counted, gone on with, and as many as the page of promises says."""

import dataclasses
import json
import os
import signal

import pytest
from documented import FACTS, ROOT
from label_readers import FORMATS

from benchmarks.trust import Options, mutated, run, summarise
from benchmarks.trust.attacks import Attacks, attempts, in_copy
from benchmarks.trust.catalogue import CATALOGUE
from fastitpn.config import parse


def test_the_page_of_promises_says_what_was_counted(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")
    import generated

    page = generated.guarantees()
    stored = json.loads((ROOT / "benchmarks" / "results" / "trust.json").read_text())
    for row in stored["rows"]:
        if row["attacks"]:
            assert f"{row['class']}: {row['as_promised']:,} of {row['attacks']:,}" in page
    assert page.count("\n| ") == 10 + 1  # and the line below the head
    assert "<!-- generated: guarantees -->" in (ROOT / "docs" / "guarantees.md").read_text()


def test_each_promise_has_its_tests_and_each_class_a_promise():
    for entry in FACTS["guarantees"]:
        for test in entry["tests"]:
            file, _, function = test.partition("::")
            assert f"def {function or 'test_'}" in (ROOT / file).read_text(), test
    attacked = [name for entry in FACTS["guarantees"] for name in entry["attacks"]]
    assert sorted(attacked) == sorted(CATALOGUE)


def attack(number, seed, folder):
    with open(folder / "made", "a") as file:
        file.write(f"{number} ")
    if number == 2:
        raise ValueError("no")
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return "not as promised" if number == 1 else None


def test_failures_and_deaths_are_counted(tmp_path):
    attacks = Attacks(name="some", count=7, attack=attack)
    outcomes = dict(attempts(attacks, 0, tmp_path, 0, float("inf")))
    assert list(outcomes) == list(range(7))
    assert outcomes[1] == "not as promised"
    assert outcomes[2] == "ValueError: no"
    assert outcomes[4].startswith("the process ended with -9")
    assert [number for number, problem in outcomes.items() if problem is None] == [0, 3, 5, 6]


def test_a_command_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.trust.import_all", lambda: None)
    words = ["classes=some", f"work={tmp_path}", f"out={tmp_path / 'trust.json'}"]
    for count in (2, 4):
        monkeypatch.setitem(CATALOGUE, "some", Attacks(name="some", count=count, attack=attack))
        with pytest.raises(SystemExit, match="did not end as promised: 1"):
            run(parse(Options, words))
    stored = json.loads((tmp_path / "trust.json").read_text())
    [row] = stored["rows"]
    assert (row["attacks"], row["as_promised"]) == (4, 2)
    assert row["failures"] == ["attack 1: not as promised", "attack 2: ValueError: no"]
    assert (tmp_path / "some" / "made").read_text() == "0 1 2 3 "
    assert stored["summary"] == summarise(stored["rows"]) == {"some": {"as_promised": 2, "attacks": 4}}
    with pytest.raises(SystemExit, match="did not end as promised: 2"):
        run(parse(Options, [*words, "anew=true"]))
    assert (tmp_path / "some" / "made").read_text() == "0 1 2 3 0 1 2 3 "


def test_a_copy_that_does_not_end_is_ended():
    ended = in_copy(lambda: signal.pause() and None, seconds=0.05)
    assert ended.code == -signal.SIGKILL


def test_each_format_of_labels_has_its_rounds():
    assert len(FORMATS) == mutated.NUM_FORMATS


@pytest.mark.parametrize("name", ["damaged checkpoints", "damaged recipes"])
def test_a_few_of_a_class(name, tmp_path):
    attacks = CATALOGUE[name]
    assert [problem for number in range(20) if (problem := attacks.attack(number, 0, tmp_path))] == []


def test_a_disk_that_fails_at_the_first_steps_of_each_writer(tmp_path):
    attacks = dataclasses.replace(CATALOGUE["failing disks"], count=100)
    outcomes = dict(attempts(attacks, 0, tmp_path, 0, float("inf")))  # in a copy, for an audit hook stays
    assert len(outcomes) == 100
    assert [problem for problem in outcomes.values() if problem is not None] == []
