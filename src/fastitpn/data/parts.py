"""The parts of a data set, train, val and test, by the names that people give them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from fastitpn.errors import InputError

PARTS = ("train", "val", "test")
"""What is trained on, what is validated on while training, and what is kept for `evaluate`."""

_NAMES = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:ation)?)?)|(?P<test>test(?:ing)?))(?:[ _.-]?(?:19|20)\d\d)?",
    re.IGNORECASE,
)


def part_of(name: str) -> str | None:
    """The part that a folder or list is named after: "train", "val" or "test"; None if it is named after none.

    Args:
        name: Such as `train`, `Training`, `valid`, `validation`, `val2017` or `TEST`, without an extension.
    """
    match = _NAMES.fullmatch(name.strip())
    return match.lastgroup if match else None


def by_part(paths: Iterable[Path], *, where: Path) -> dict[str, Path]:
    """Those files or folders that are named after a part, in the order of `PARTS`.

    Args:
        paths: Files or folders; an extension does not count.
        where: The data, for the error.

    Raises:
        InputError: Two are named after the same part.
    """
    result: dict[str, Path] = {}
    for path in sorted(paths):
        part = part_of(path.name if path.is_dir() else path.stem)
        if part is None:
            continue
        if part in result:
            raise InputError(
                f"{result[part].name} and {path.name} are both named after the part {part}",
                where=where,
                expected=f"one of each of {', '.join(PARTS)}",
                fix=f"give the parts by name, such as data={result[part]}, or rename one of the two",
            )
        result[part] = path
    return {part: result[part] for part in PARTS if part in result}


def part_folders(data: Path) -> dict[str, Path]:
    """The sub-folders of a folder that are named after a part; none if it is no folder.

    Raises:
        InputError: Two are named after the same part.
    """
    if not data.is_dir():
        return {}
    return by_part((path for path in data.iterdir() if path.is_dir()), where=data)


def say_of_test(parts: Mapping[str, object]) -> str | None:
    """What to say of a test part beside one that is trained on; None if there is nothing to say."""
    return "the part test is kept for evaluate: it is not trained on" if {"train", "test"} <= parts.keys() else None
