"""The recipes that come with this package, by their names."""

import functools
from dataclasses import dataclass
from pathlib import Path

from fastitpn.listing import matching

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class ShippedRecipe:
    """One of them.

    Attributes:
        name: What `recipe=NAME` takes.
        path: The YAML file.
        sentence: What it is for, the first sentence of its header.
        header: Lines of its header by their word: "command", "hardware", "time", "figure", "source".
    """

    name: str
    path: Path
    sentence: str
    header: dict[str, str]


def folder() -> Path:
    """Where they lie: in an installed package, or beside the sources of a clone."""
    inside = _PACKAGE / "recipes"
    return inside if inside.is_dir() else _PACKAGE.parents[1] / "recipes"


@functools.cache
def names() -> tuple[str, ...]:
    """Their names, sorted."""
    return tuple(path.stem for path in matching(folder(), "*.yaml"))


def recipe_file(given: str | Path) -> Path:
    """The file that `recipe=` means: a path, else a recipe of ours by its name, with or without .yaml."""
    path = Path(given).expanduser()
    name = path.name.removesuffix(".yaml")
    if path.exists() or path.name != str(given) or name not in names():
        return path
    return folder() / f"{name}.yaml"


def read_header(name: str) -> ShippedRecipe:
    """What the comments at the top of a recipe say."""
    path = folder() / f"{name}.yaml"
    comments = [line[1:].rstrip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    sentence = " ".join(line.strip() for line in comments if not line.startswith("   "))
    header = {}
    for line in comments:
        if line.startswith("   "):
            word, _, text = line.strip().partition(" ")
            header[word] = text.strip()
    return ShippedRecipe(name=name, path=path, sentence=sentence, header=header)
