"""The layout of the source: who may import whom, how long a file may be, and what no file may do."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "fastitpn"
FILES = sorted(SOURCE.rglob("*.py"))
LEAVES = {"errors", "config", "data"}
MAY_IMPORT = {  # models <- pretraining <- tasks <- reporting, engine, inference <- cli
    "errors": set(),
    "config": {"errors"},
    "data": {"errors"},
    "models": {"errors"},
    "pretraining": {*LEAVES, "models"},
    "tasks": {*LEAVES, "models", "pretraining"},
    "reporting": {*LEAVES, "models", "pretraining", "tasks"},
    "engine": {*LEAVES, "models", "pretraining", "tasks", "reporting"},
    "inference": {*LEAVES, "models", "pretraining", "tasks", "reporting", "engine"},
    "exporters": {*LEAVES, "models", "pretraining", "tasks", "reporting", "engine"},
    "diagnosis": {*LEAVES, "models", "pretraining", "tasks", "reporting", "engine"},
    "visualization": {*LEAVES, "models", "pretraining", "tasks", "reporting", "engine", "inference"},
    "application": {
        *LEAVES,
        "models",
        "pretraining",
        "tasks",
        "reporting",
        "engine",
        "inference",
        "visualization",
    },
    "benchmarking": {*LEAVES, "models", "pretraining", "tasks", "reporting", "engine"},
    "cli": {
        *LEAVES,
        "models",
        "pretraining",
        "tasks",
        "reporting",
        "engine",
        "inference",
        "exporters",
        "visualization",
        "diagnosis",
        "benchmarking",
        "application",
    },
    "__main__": {"cli"},
}
MODELS_STAND_ON = {"torch", "timm", "numpy", "safetensors", "fastitpn", *sys.stdlib_module_names}
MEANINGLESS = {"utils", "util", "misc", "helpers", "helper", "common", "tools"}
RUNS_CODE = {"pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load", "os.system", "joblib.load"}


def place(file: Path, node: ast.AST) -> str:
    return f"{file.relative_to(SOURCE)}:{getattr(node, 'lineno', 1)}"


def package(file: Path) -> str:
    """The first name below `fastitpn`."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """Full names of what is imported, wherever it stands in the file, and its place."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, place(file, node)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(file, node)}: a relative import"
            yield from ((f"{node.module}.{alias.name}", place(file, node)) for alias in node.names)


def calls(file: Path) -> Iterator[tuple[str, dict[str | None, ast.expr], str]]:
    """Dotted names of called functions, their keyword arguments, and their place."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: k.value for k in node.keywords}, place(file, node)


def test_every_package_has_its_place() -> None:
    assert {package(file) for file in FILES} == {"__init__", *MAY_IMPORT}


def test_imports_run_one_way() -> None:
    wrong = [
        f"{where}: {package(file)} must not import {name}"
        for file in FILES
        if package(file) != "__init__"
        for name, where in imports(file)
        if name.startswith("fastitpn.") and name != "fastitpn.__version__"
        if name.split(".")[1] not in {package(file), *MAY_IMPORT[package(file)]}
    ]
    assert not wrong


def test_models_stand_on_torch_and_timm_alone() -> None:
    wrong = [
        f"{where}: {name}"
        for file in FILES
        if package(file) == "models"
        for name, where in imports(file)
        if name.split(".")[0] not in MODELS_STAND_ON
    ]
    assert not wrong


def test_files_are_short() -> None:
    lengths = {str(file.relative_to(SOURCE)): len(file.read_text().splitlines()) for file in FILES}
    assert not {name: length for name, length in lengths.items() if length > 500}


def test_names_say_something() -> None:
    parts = {part.removesuffix(".py") for file in FILES for part in file.relative_to(SOURCE).parts}
    assert not parts & MEANINGLESS


def test_no_file_that_is_read_can_run_code() -> None:
    wrong = []
    for file in FILES:
        for name, keywords, where in calls(file):
            safe = keywords.get("weights_only")
            if name == "torch.load" and not (isinstance(safe, ast.Constant) and safe.value is True):
                wrong.append(f"{where}: torch.load without weights_only=True")
            if name in RUNS_CODE or "allow_pickle" in keywords:
                wrong.append(f"{where}: {name}")
    assert not wrong
