"""What the README tells a reader to type is right, and what it says is so."""

import os
import re
import tomllib

import pytest
from documented import FACTS, README, ROOT, readme_commands, verb_of

import fastitpn
from fastitpn.commands.registry import all_verbs
from fastitpn.config import parse
from fastitpn.models.registry import ARCHITECTURES

COMMANDS = readme_commands()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_right(command):
    verb, arguments = verb_of(command)
    if arguments == ["--help"]:
        return
    parse(verb.config, arguments)


def test_every_verb_has_a_command():
    """All are run in `docs/test_pages.py`, with those of the pages."""
    assert {tuple(verb_of(command)[0].words) for command in COMMANDS} == {
        verb.words for verb in all_verbs() if verb.words != ("demo",)
    }


def test_make_verbs_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in set(re.findall(r"\bmake (\w+)", README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))):
        assert re.search(rf"^{name}:", makefile, re.M), f"make {name}"


def test_modules_named_as_commands_exist():
    for module in set(re.findall(r"python -m ([\w.]+)", README)):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_files_it_names_exist():
    named = re.findall(r"\]\((?!https?:|#)([^)#\s]+)\)", README)
    named += re.findall(r"`((?:docs|recipes|benchmarks|tests|src)/[\w./-]*|[A-Z]+\.(?:md|cff))`", README)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_places_to_contribute_to_exist():
    named = re.findall(r"`([a-z]+/[\w./]*)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert "pretraining/teachers/" in named
    places = [name.replace("NAME", "detect") for name in named]
    assert [name for name in places if not any((root / name).exists() for root in (ROOT, ROOT / "src/fastitpn"))] == []


def test_the_table_of_models():
    for name in ARCHITECTURES:
        row = re.search(rf"^\| `{name}` \| ([\d.]+) M \| (\d+) \|(?: ([\d.]+) % \(published\) \|)?", README, re.M)
        assert row, name
        model = fastitpn.create_model(name, device="meta")
        assert float(row[1]) == round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1)
        assert int(row[2]) == ARCHITECTURES[name].px
        assert (float(row[3]) if row[3] else None) == FACTS["published_top1"].get(name)


def test_its_limits_are_those_of_the_documentation():
    section = README.partition("\n## Honest limits\n")[2].partition("\n## ")[0]
    assert [" ".join(limit.split()) for limit in re.split(r"^- ", section, flags=re.M)[1:]] == FACTS["limits"]


def test_versions_that_it_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    start = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    for text in (README, start):
        python, torch = re.findall(r"Python ([\d.]+) or newer, torch ([\d.]+) or newer", text)[0]
        assert project["requires-python"] == f">={python}"
        assert f"torch>={torch}" in project["dependencies"]


def test_no_private_place_is_named():
    assert not re.findall(r"(?:^|[\s(`])/(?:home|root|work|tmp|Users)/", README)
    assert os.path.expanduser("~") not in README
