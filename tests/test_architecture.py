"""The layout of the source: who may import whom, how long a file may be, and what no file may do."""

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "fastitpn"
FILES = sorted(SOURCE.rglob("*.py"))
LAYERS = (  # each may import those before it
    {"errors", "nearest", "imagenet", "listing", "json_text"},
    {"files", "registry", "console", "yaml_files"},
    {"sums"},
    {"config"},
    {"data", "models"},
    {"pretraining"},
    {"runs", "downloading"},
    {"training"},
    {"reporting"},
    {"inference", "exporting", "diagnosis"},
    {"tasks"},
    {"visualization", "benchmarking"},
    {"application", "tuning"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
MODELS_MAY_NOT = {"config", "data", "console", "files"}
TASKS = ("classify", "segment", "detect", "pretrain")
KINDS = re.compile(r"(.Task|Head|Detector|Segmenter|Teacher|RCNN|DINO|Mask2Former|Format)$")
"""Names of classes that an `isinstance` must not tell apart outside of their own package."""
MODELS_STAND_ON = {"torch", "timm", "numpy", "safetensors", "isal", "fastitpn", *sys.stdlib_module_names}
MEANINGLESS = {"utils", "util", "misc", "helpers", "helper", "common", "tools"}
SAYS_NOTHING = re.compile(
    r"(Which|The same|Likewise|Where|Why|What|How many|As given|Names|(Of|To|As)( (the|an?|its|that|this|each|all))? "
    r"[`\w.]+( [`\w.]+)?|Those of [`\w]+( [`\w]+)?|Its [`\w]+)\.?"
)
"""Explanations of an argument, an attribute or a function that only make sense to who knows it."""
RUNS_CODE = {"pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load", "os.system", "joblib.load"}


def place(file: Path, node: ast.AST) -> str:
    return f"{file.relative_to(SOURCE)}:{getattr(node, 'lineno', 1)}"


def package(file: Path) -> str:
    """The first name below `fastitpn`."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


@functools.cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """All of a file, the module first."""
    return tuple(ast.walk(ast.parse(file.read_text())))


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """Full names of what is imported, wherever it stands in the file, and its place."""
    for node in nodes(file):
        if isinstance(node, ast.Import):
            yield from ((alias.name, place(file, node)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(file, node)}: a relative import"
            yield from ((f"{node.module}.{alias.name}", place(file, node)) for alias in node.names)


def calls(file: Path) -> Iterator[tuple[str, dict[str | None, ast.expr], str]]:
    """Dotted names of called functions, their keyword arguments, and their place."""
    for node in nodes(file):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: k.value for k in node.keywords}, place(file, node)


def name_of(file: Path) -> str:
    """Dotted name of a module."""
    parts = [part.removesuffix(".py") for part in file.relative_to(SOURCE.parent).parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_at_once(body: list[ast.stmt]) -> Iterator[str]:
    """Full names of what a module imports while it is imported; not what only a type checker sees."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) != "TYPE_CHECKING":
            yield from imported_at_once([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from imported_at_once([*node.body, *node.orelse, *node.finalbody])


def flat(node: ast.expr) -> list[ast.expr]:
    """The classes of the second argument of `isinstance`."""
    if isinstance(node, ast.Tuple):
        return [part for element in node.elts for part in flat(element)]
    if isinstance(node, ast.BinOp):
        return [*flat(node.left), *flat(node.right)]
    return [node]


def test_every_package_has_its_place() -> None:
    assert {package(file) for file in FILES} == {"__init__", *set().union(*LAYERS)}


def test_imports_run_one_way() -> None:
    height = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    wrong = [
        f"{where}: {package(file)} must not import {name}"
        for file in FILES
        if package(file) != "__init__"
        for name, where in imports(file)
        if name.startswith("fastitpn.") and name != "fastitpn.__version__"
        if (other := name.split(".")[1]) != package(file)
        if height[other] >= height[package(file)] or (package(file) == "models" and other in MODELS_MAY_NOT)
    ]
    assert not wrong


def test_tasks_do_not_import_each_other() -> None:
    # The demonstration is a training of each; published weights may be a classifier's; Mask2Former is one network.
    allowed = {("exporting", "classify"), ("demonstration", "classify"), ("demonstration", "pretrain")}
    shared = "fastitpn.tasks.segment.heads.mask2former_network.Mask2FormerHead"
    wrong = [
        f"{where}: {name}"
        for file in FILES
        if package(file) == "tasks"
        for name, where in imports(file)
        if name != shared
        if (parts := name.split("."))[:2] == ["fastitpn", "tasks"] and parts[2] in TASKS
        if (own := file.relative_to(SOURCE).parts[1].removesuffix(".py")) != parts[2] and (own, parts[2]) not in allowed
    ]
    assert not wrong


def test_no_import_goes_in_a_circle() -> None:
    """Of what is imported when a module is, that is at its top level."""
    modules = {name_of(file): file for file in FILES}
    edges: dict[str, set[str]] = {}
    for module, file in modules.items():
        edges[module] = {
            known
            for name in imported_at_once(nodes(file)[0].body)
            if (known := name if name in modules else name.rpartition(".")[0]) in modules and known != module
        }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(edges[module]):
                visit(other, (*path, module))
            done.add(module)

    for module in modules:
        visit(module, ())


def test_no_branch_on_the_name_of_a_task_outside_of_tasks() -> None:
    wrong = []
    for file in FILES:
        if package(file) in ("tasks", "__init__") or file.parent.name == "scenes":  # scenes have forms of these names
            continue
        for node in nodes(file):
            compared = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            compared += node.keys if isinstance(node, ast.Dict) else []
            constants = [part.value for part in compared if isinstance(part, ast.Constant)]
            constants += [
                part.value
                for group in compared
                if isinstance(group, ast.Tuple | ast.List | ast.Set)
                for part in group.elts
                if isinstance(part, ast.Constant)
            ]
            for _ in [value for value in constants if value in TASKS]:
                text = ast.unparse(node)
                if not text.startswith("scheme =="):  # of start values, one of which is called after pre-training
                    wrong.append(f"{place(file, node)}: {text[:80]}")
    assert not wrong


def test_no_ladder_over_tasks_or_heads() -> None:
    wrong = []
    for file in FILES:
        for node in nodes(file):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance" and len(node.args) == 2:
                kinds = {ast.unparse(part).split(".")[-1] for part in flat(node.args[1])}
                if any(KINDS.search(kind) for kind in kinds):
                    wrong.append(f"{place(file, node)}: {ast.unparse(node)}")
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
    ordered = sorted(lengths.values())
    assert not {name: length for name, length in lengths.items() if length > 400}
    assert ordered[len(ordered) // 2] <= 110
    assert ordered[int(0.9 * len(ordered))] <= 220


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


def test_locals_have_nouns() -> None:
    wrong = [
        f"{place(file, node)}: {node.id}"
        for file in FILES
        for function in nodes(file)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in ("found", "one", "own")
    ]
    assert not wrong


def explanations(file: Path) -> Iterator[tuple[str, str]]:
    """What docstrings say in their first line and of each argument or attribute in one line, and its place."""
    for node in nodes(file):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            first, *lines = node.value.value.splitlines()
            yield first, place(file, node)
            for line, following in zip(lines, [*lines[1:], ""], strict=False):
                entry = re.match(r"( +)[*\w]+: (.+)", line)
                if entry and not following.startswith(f"{entry[1]}    "):
                    yield entry[2], f"{place(file, node)}, {line.strip()}"


def test_docstrings_say_what_things_are() -> None:
    assert [where for file in FILES for text, where in explanations(file) if SAYS_NOTHING.fullmatch(text)] == []
