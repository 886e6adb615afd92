"""What the README tells a reader to type works, on small data and with small settings."""

import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from documented import FACTS, FETCHES, ROOT, WITHOUT_END, fill_folder, measure_little, small, verb_of
from tiny_runs import TRAINING

import fastitpn
from fastitpn.cli.main import main
from fastitpn.commands.registry import all_verbs
from fastitpn.config import parse
from fastitpn.models.registry import ARCHITECTURES

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
LINES = [
    line.split("#")[0].strip() for language, block in BLOCKS if language != "python" for line in block.splitlines()
]
COMMANDS = [line for line in LINES if line.startswith("fastitpn ")]
PYTHON = [block for language, block in BLOCKS if language == "python"]


@pytest.fixture(scope="module")
def folder(scenes, segment_scenes, detect_scenes, tmp_path_factory) -> Path:
    """A folder with everything that the README's commands name, small."""
    return fill_folder(tmp_path_factory.mktemp("readme"), README, scenes, segment_scenes, detect_scenes)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_right(command):
    verb, arguments = verb_of(command)
    if arguments == ["--help"]:
        return
    parse(verb.config, arguments)


@pytest.mark.timeout(900)
def test_commands_run_one_after_the_other(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FASTITPN_CACHE", str(folder))
    measure_little(monkeypatch)
    assert {tuple(verb_of(command)[0].words) for command in COMMANDS} == {
        verb.words for verb in all_verbs() if verb.words != ("demo",)
    }
    for command in COMMANDS:
        if verb_of(command)[0].words in {*WITHOUT_END, FETCHES}:
            continue
        assert main(small(command)) == 0, f"{command}\n{capsys.readouterr().err}"
    for path in ("runs/pretrain", "runs/flowers"):
        assert fastitpn.Run(path).complete
        assert Path(path, "report.html").is_file()


def test_python_runs_and_prints_what_is_shown(folder, monkeypatch, capsys):
    """After the commands, in the same folder; the later keys of trainings are small."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FASTITPN_CACHE", str(folder))
    if not Path("runs/pretrain").exists():
        assert main(small(next(command for command in COMMANDS if "out=runs/pretrain" in command))) == 0
    finetune = fastitpn.finetune
    keys = {key: value for key, value in TRAINING.items() if key != "model"}
    monkeypatch.setattr(fastitpn, "finetune", lambda task, **given: finetune(task, **given, **keys), raising=False)
    shutil.rmtree("runs/flowers", ignore_errors=True)
    names: dict[str, object] = {}
    for block in PYTHON:
        capsys.readouterr()
        exec(compile(block, "README.md", "exec"), names)
        printed = capsys.readouterr().out
        for shown in re.findall(r"^# ((?:\d|all ).*)$", block, re.M):  # what the line above it prints
            beginning = shown.split(", ...")[0]
            assert any(line.startswith(beginning) for line in printed.splitlines()), printed
    assert len(names["maps"]) == 5  # type: ignore[arg-type]
    assert names["run"].complete  # type: ignore[attr-defined]


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
