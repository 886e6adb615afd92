"""What README and documentation tell a reader to type works: commands, Python and YAML, on small data, made small."""

import ast
import contextlib
import importlib
import io
import json
import pkgutil
import re
import runpy
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from documented import (
    FACTS,
    FETCHES,
    README,
    README_BLOCKS,
    ROOT,
    WITHOUT_END,
    fill_folder,
    measure_little,
    readme_commands,
    small,
    verb_of,
)
from tiny_runs import TRAINING

import fastitpn
from fastitpn.cli.main import main
from fastitpn.commands.registry import all_verbs
from fastitpn.config import parse
from fastitpn.models.registry import ARCHITECTURES
from fastitpn.pretraining.teachers.registry import TEACHERS
from fastitpn.tasks.registry import TASKS

DOCS = ROOT / "docs"
NOTEBOOK = DOCS / "tutorials" / "own_images.ipynb"
LANGUAGES = {"sh", "python", "yaml", "text"}
LAUNCHER = re.compile(r"^(?:torchrun|srun) .*?(?:-m )?fastitpn ")
NOT_RUN = {*WITHOUT_END, FETCHES}
WIDTH = 80
"""Characters of a line that fit beside both menus."""
BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- checked, not run: (?P<reason>[^\n]+) -->\n *)?"
    r"```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^(?P=indent)```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """A fenced part of a page; `reason` says why it is checked only."""

    page: str
    language: str
    title: str | None
    reason: str | None
    body: str

    @property
    def commands(self) -> list[str]:
        """One each, also where it goes over several lines."""
        joined = re.sub(r"\\\n *", "", self.body)
        return [line for line in joined.splitlines() if line] if self.language == "sh" else []


def pages() -> list[str]:
    """Of the site, in the order of its navigation, which is the order to run them in: later ones use earlier runs."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return re.findall(r": (\S+\.md)$", text, re.M)


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    result = []
    for match in BLOCK.finditer(text):
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.M)
        result.append(Block(page, match["language"], match["title"], match["reason"], body))
    assert len(re.findall(r"^ *```", text, re.M)) == 2 * len(result), f"{page}: a block that is not understood"
    return result


PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks(page)]
TEXTS = "\n".join((DOCS / page).read_text(encoding="utf-8") for page in PAGES)
COMMANDS = sorted({command for block in BLOCKS for command in block.commands})


def test_every_page_is_in_the_navigation():
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(PAGES) == sorted(written)


def test_lines_fit():
    assert [line for block in BLOCKS for line in block.body.splitlines() if len(line) > WIDTH] == []


def test_every_block_says_what_it_is():
    assert {block.language for block in BLOCKS} <= LANGUAGES, "python, sh, yaml, or text for what is not run"
    assert not [block for block in BLOCKS if block.reason and block.language != "sh"]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_right(command, monkeypatch):
    monkeypatch.chdir(ROOT)  # where recipes/ is
    if command.startswith("fastitpn "):
        check(command)
    elif LAUNCHER.match(command):
        check(LAUNCHER.sub("fastitpn ", command))
    elif command.startswith("pip install "):
        check_install(command)
    else:
        program, script, *_ = shlex.split(command)
        assert program == "python", f"neither run nor checked: {command}"
        assert (ROOT / script).is_file() or script in [block.title for block in BLOCKS]


def check(command: str) -> None:
    """Parses a command; in place of a recipe that is not there yet, of a run or shown by a page, stands its data."""
    verb, arguments = verb_of(command)
    written = [word for word in arguments if word.startswith("recipe=") and not Path(word.partition("=")[2]).is_file()]
    parse(verb.config, ["data=photos" if word in written else word for word in arguments])


def check_install(command: str) -> None:
    """The extras exist; the package itself is installed from a clone, as it is on no index."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    [package] = [word for word in shlex.split(command)[2:] if word != "-e"]
    name, _, asked = package.partition("[")
    assert name in (".", "fastitpn")
    assert asked or name == "."
    assert set(filter(None, asked.rstrip("]").split(","))) <= set(extras), f"no extra {asked}"


def test_every_verb_has_a_command():
    """On a page: all of them are run below."""
    verbs = {tuple(verb_of(command)[0].words) for command in COMMANDS if command.startswith("fastitpn ")}
    assert {verb.words for verb in all_verbs()} == verbs


@pytest.fixture
def depth() -> Iterator[None]:
    """The task that the page about extensions adds."""
    TASKS.register("depth", "extending.depth")
    yield
    TASKS.unregister("depth")


def test_commands_within_sentences_exist(depth):
    for words in re.findall(r"`(fastitpn [^`\n]+)`", TEXTS):
        if not words.startswith(("fastitpn VERB", "fastitpn help")):
            verb_of(words.split("|")[0])
    for command in set(re.findall(r"\b(pip install (?!git\+URL)[^`\n]+)", TEXTS + README)):
        check_install(command)


@pytest.fixture(scope="module")
def folder(scenes, segment_scenes, detect_scenes, tmp_path_factory) -> Path:
    """A folder with everything that README and pages name, small."""
    folder = tmp_path_factory.mktemp("docs")
    fill_folder(folder, TEXTS + README, scenes, segment_scenes, detect_scenes)
    shutil.copytree(folder / "voc", folder / "VOC2012")
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "tests" / "extending" / "teacher.py", folder / "colours.py")
    return folder


@pytest.fixture
def teachers() -> Iterator[None]:
    """Those that pages add are taken out again."""
    before = set(TEACHERS)
    yield
    for name in set(TEACHERS) - before:
        TEACHERS.unregister(name)


@pytest.mark.drawn
@pytest.mark.timeout(900)
def test_readme_and_pages_run_one_after_the_other(folder, teachers, monkeypatch, capsys):
    """What several of them have is run once, unless it trains."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FASTITPN_CACHE", str(folder))
    monkeypatch.syspath_prepend(folder)
    measure_little(monkeypatch)
    make_trainings_small(monkeypatch)
    done: set[str] = set()

    def run_new(command: str, page: str) -> None:
        if command not in done or trains(command):
            done.add(command)
            capsys.readouterr()
            assert run(command, monkeypatch) == 0, f"{page}: {command}\n{capsys.readouterr().err}"

    for command in readme_commands():
        run_new(command, "README.md")
    for page in PAGES:
        names: dict[str, Any] = {}
        for block in blocks(page):
            if block.title:
                Path(block.title).write_text(block.body, encoding="utf-8")
        for block in blocks(page):
            if block.language == "python":
                run_python(block, names)
            elif block.language == "yaml":
                assert yaml.safe_load(block.body), f"{page}: {block.body}"
            elif block.reason is None:
                for command in block.commands:
                    run_new(command, page)
    for path in ("runs/pretrain", "runs/flowers", "runs/python"):
        assert fastitpn.Run(path).complete
        assert Path(path, "report.html").is_file()
    run_readme_python(capsys)
    run_notebook(NOTEBOOK)


def run_notebook(file: Path) -> None:
    """Its code cells as one program; the last line of each is a value that a notebook can show, or prints."""
    names: dict[str, Any] = {}
    shown = []
    for number, cell in enumerate(code_cells(file)):
        *program, last = ast.parse(cell, f"{file.name}, cell {number}").body
        exec(compile(ast.Module(program, []), file.name, "exec"), names)
        assert isinstance(last, ast.Expr)
        value = eval(compile(ast.Expression(last.value), file.name, "eval"), names)
        shown += [value._repr_html_()] if value is not None else []
    assert len(shown) == 3


def code_cells(file: Path) -> list[str]:
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_is_small_and_has_no_output():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], NOTEBOOK.stat().st_size < 8192) == (4, True)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert [cell["outputs"] for cell in notebook["cells"] if cell.get("outputs")] == []
    names = set(re.findall(r"fastitpn\.(\w+)", "\n".join(code_cells(NOTEBOOK))))
    assert names <= set(fastitpn.__all__)


def run_readme_python(capsys: pytest.CaptureFixture[str]) -> None:
    """As one program; the beginning of what is shown below a line is printed."""
    names: dict[str, Any] = {}
    for block in [block for language, block in README_BLOCKS if language == "python"]:
        capsys.readouterr()
        exec(compile(block, "README.md", "exec"), names)
        printed = capsys.readouterr().out
        for shown in re.findall(r"^# ((?:\d|all ).*)$", block, re.M):
            beginning = shown.split(", ...")[0]
            assert any(line.startswith(beginning) for line in printed.splitlines()), printed
    assert len(names["maps"]) == 5


def trains(command: str) -> bool:
    """Typed again, it goes on with its run, or finds that complete."""
    command = LAUNCHER.sub("fastitpn ", command)
    return command.startswith("fastitpn ") and "steps" in verb_of(command)[0].config.__dataclass_fields__


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    if command.startswith("pip ") or (command.startswith("fastitpn ") and verb_of(command)[0].words in NOT_RUN):
        return 0  # checked above
    if command.startswith("python "):
        _, script, *arguments = shlex.split(command)
        monkeypatch.setattr(sys, "argv", [script, *(small(f"fastitpn {shlex.join(arguments)}") if arguments else [])])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0
    alone = ["devices=1", "nodes=1"] if trains(command) else []
    return main([*small(LAUNCHER.sub("fastitpn ", command)), *alone])


def run_python(block: Block, names: dict[str, Any]) -> None:
    """Names last for a page; a comment below a line says what that line prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.body, block.page, "exec"), names)
    for shown in re.findall(r"^print\(.*\)$\n# (.+)$", block.body, re.M):
        assert shown in printed.getvalue().splitlines(), f"{block.page}: {printed.getvalue()}"


def make_trainings_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in Python; commands are made small one by one."""
    pretrain, finetune = fastitpn.pretrain, fastitpn.finetune
    weighted = {key: value for key, value in TRAINING.items() if key != "model"}
    monkeypatch.setattr(fastitpn, "pretrain", lambda **given: pretrain(**given, **TRAINING), raising=False)
    monkeypatch.setattr(fastitpn, "finetune", lambda task, **given: finetune(task, **given, **weighted), raising=False)


def test_the_table_of_models(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_site")
    table = importlib.import_module("generated").models()
    for name, architecture in ARCHITECTURES.items():
        row = re.search(
            rf"^\| `{name}` \| ([\d.]+)&nbsp;M \| ([\d.]+)&nbsp;M \| (\d+) \|.*\|(?: ([\d.]+) %)? +\|$", table, re.M
        )
        assert row, name
        trunk = fastitpn.create_model(name, num_classes=0, device="meta")
        assert float(row[1]) == round(sum(parameter.numel() for parameter in trunk.parameters()) / 1e6, 1)
        assert int(row[3]) == architecture.px
        assert (float(row[4]) if row[4] else None) == FACTS["published_top1"].get(name)


def test_a_run_folder_has_the_files_that_are_listed(classifier_run):
    text = (DOCS / "reference" / "run_folder.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w./]+)` \|", text, re.M)
    assert len(listed) > 5
    assert [name for name in listed if not (classifier_run.directory / name).exists()] == []


def test_files_it_names_exist():
    named = set(re.findall(r"`((?:docs|recipes|benchmarks|tests|examples|src)/[\w./-]+)`", TEXTS))
    code = set(re.findall(r"`((?:models|pretraining|tasks)/[\w./-]+|[a-z]\w*/[\w/]+\.py)`", TEXTS)) - named
    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [name for name in code if not (ROOT / "src" / "fastitpn" / name).exists()]
    assert named
    assert code
    assert missing == []


def test_names_in_the_code_exist():
    named = set(re.findall(r"`(fastitpn(?:\.\w+)+)", TEXTS))
    assert len(named) > 6
    for name in named:
        assert pkgutil.resolve_name(name) is not None


def test_classes_and_functions_of_the_explanation_are_in_their_files():
    text = (DOCS / "explanation" / "method.md").read_text(encoding="utf-8")
    found = re.findall(r"`((?:models|pretraining)/[\w/]+\.py)` `(\w+)`", text)
    assert len(found) > 3
    for file, name in found:
        assert re.search(rf"^class {name}\b", (ROOT / "src" / "fastitpn" / file).read_text(encoding="utf-8"), re.M)


def test_no_private_place_is_named():
    assert not re.findall(r"(?:^|[\s(`])/(?:home|root|work|tmp|Users)/", TEXTS)
    assert sys.prefix not in TEXTS
