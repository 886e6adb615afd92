"""What the README tells a reader to type is right, and what it says is so."""

import json
import os
import re
import tomllib

import pytest
from documented import FACTS, README, ROOT, readme_commands, verb_of

import fastitpn
from fastitpn.config import parse
from fastitpn.models.weights.published import published_file

COMMANDS = readme_commands()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_right(command):
    verb, arguments = verb_of(command)
    if arguments == ["--help"]:
        return
    parse(verb.config, arguments)


def test_it_is_short():
    assert len(README.splitlines()) <= 150


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


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large"])
def test_the_published_figures(size):
    """The table has what `fastitpn weights` says, and the parameters that the models have."""
    head, row = (re.search(rf"^\| {name} \|(.*)\|$", README, re.M)[1] for name in ("model", f"`fastitpn_{size}`"))
    columns = dict(zip(*([cell.strip() for cell in line.split("|")] for line in (head, row)), strict=True))
    model = fastitpn.create_model(f"fastitpn_{size}", device="meta")
    assert columns.pop("parameters") == f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.1f} M"
    published = {
        (px, name.endswith("_21k") or "21K" in published_file(name).figure): figure
        for name in (size, "base_21k")
        if published_file(name).model == f"fastitpn_{size}"
        for figure, px in re.findall(r"([\d.]+) % at (\d+) px", published_file(name).figure)
    }
    listed = {(name.split()[0], "21K" in name): figure for name, figure in columns.items() if figure}
    assert listed == published
    assert max(map(float, listed.values())) == FACTS["published_top1"][f"fastitpn_{size}"]


def test_its_speeds_are_the_measured_ones():
    """In the table, and in what the first lines promise of it."""
    rows = json.loads((ROOT / "benchmarks/results/acceleration.json").read_text(encoding="utf-8"))["rows"]
    measured = {(row["model"], row["acceleration"], row["px"], row["batch"]): f"{row['ratio']:.2f}x" for row in rows}
    names = [(f"fastitpn_{size}", name) for size in ("tiny", "base") for name in ("balanced", "fast")]
    table = {int(px): cells.split(" | ") for px, cells in re.findall(r"^\| (\d+) \| ([\d.x |]+) \|$", README, re.M)}
    assert table == {px: [measured[*name, px, 1] for name in names] for px in (224, 512, 1024)}
    low, high = re.search(r"\*\*([\d.]+)x to ([\d.]+)x faster", README).groups()
    assert float(low) == min(float(ratio[:-1]) for cells in table.values() for ratio in cells)
    assert float(high) <= max(float(ratio[:-1]) for ratio in table[1024])


def test_what_the_acceleration_costs_is_what_was_measured():
    text = " ".join(README.split())
    cost = (
        r"`balanced` changed top-1 by (.+?) points \((.+?) to (.+?) over three .+? mean IoU by (.+?) \((.+?) to (.+?)\)"
    )
    written = [float(figure) for figure in re.search(cost, text).groups()]
    summary = json.loads((ROOT / "benchmarks/results/acceleration_quality.json").read_text(encoding="utf-8"))["summary"]
    rows = [
        row for task in ("classify", "segment") for row in summary if (row["task"], row["arm"]) == (task, "balanced")
    ]
    assert written == [
        round(figure, 1) for row in rows for figure in (row["untrained_change"], *row["untrained_spread"])
    ]


def test_its_limits_are_those_of_the_documentation():
    section = README.partition("\n## Limits\n")[2].partition("\n## ")[0]
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
