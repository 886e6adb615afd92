"""The parts of a data set, train, val and test, by the names that people give them."""

import re
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from fastitpn.console import say
from fastitpn.data.debris import is_left_out
from fastitpn.data.fold import Fold, HeldOut
from fastitpn.errors import InputError
from fastitpn.listing import subfolders

PartT = TypeVar("PartT")

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
    return by_part(subfolders(data), where=data)


def data_parts(data: Path) -> dict[str, Path]:
    """The sub-folders of parts, where a folder plainly holds parts: train with another one, or nothing but parts.

    So a class named train beside cars and buses stays a class.

    Raises:
        InputError: Two are named after the same part.
    """
    if not data.is_dir():
        return {}
    folders = [path for path in subfolders(data) if not is_left_out(path.name)]
    named = {path: part for path in folders if (part := part_of(path.name))}
    plainly = {"train", "val"} <= (parts := set(named.values())) or {"train", "test"} <= parts
    return by_part(named, where=data) if plainly or len(named) == len(folders) else {}


def longer_parts(names: Iterable[str]) -> dict[str, str]:
    """Names that differ by a part alone, such as seg_train and seg_test; empty if no train and another one do.

    Returns:
        The name of each part, in the order of `PARTS`.
    """
    by_rest: dict[tuple[str, ...], dict[str, str]] = {}
    for name in sorted(names):
        words = re.split(r"[ _.-]+", name.casefold())
        parts = [part for word in words if (part := part_of(word))]
        if len(parts) == 1 < len(words):
            rest = tuple(word for word in words if not part_of(word))
            by_rest.setdefault(rest, {}).setdefault(parts[0], name)
    chosen = next((parts for parts in by_rest.values() if {"train"} < parts.keys()), {})
    return {part: chosen[part] for part in PARTS if part in chosen}


def choose_part(parts: Mapping[str, PartT], asked: str | None, *, where: Path) -> PartT:
    """The part to evaluate: the one asked for, else val, else test, else what there is; says which it is.

    Args:
        parts: What is in each part; "" for what is of no part.
        asked: Name of the part, one of `PARTS`; None leaves it open.
        where: The data.

    Raises:
        InputError: The part that was asked for is not there.
    """
    names = [name for name in parts if name]
    if asked is not None and asked not in parts:
        raise InputError(
            f"there is no part {asked} in this data",
            where=where,
            expected=f"one of its parts: {', '.join(names)}" if names else "a folder or list named after the part",
            fix=f"split={names[-1]}" if names else "leave split out to evaluate on all of it",
        )
    chosen = asked or next(name for name in ("val", "test", "", "train") if name in parts)
    if chosen:
        others = [name for name in names if name != chosen]
        more = f" (split={' or split='.join(others)} for the other{'s' * (len(others) > 1)})" if others else ""
        say(f"evaluated on the part {chosen}{more}")
    return parts[chosen]


def part_to_train_on(parts: Mapping[str, PartT], *, where: Path, path: Callable[[PartT], Path] | None = None) -> PartT:
    """The part train, or the data without parts; a line says that a part test is left alone.

    Args:
        parts: By name; "" for data without parts.
        where: The data.
        path: Gives where a part lies, for the error; None if parts do not lie apart.

    Raises:
        InputError: There is neither.
    """
    name = next((name for name in ("train", "") if name in parts), None)
    if name is None:
        raise InputError(
            f"there is no part train in this data, but {' and '.join(parts)}",
            where=where,
            expected="images to train on",
            fix=f"data={path(next(iter(parts.values())))} to train on these" if path else None,
        )
    if line := say_of_test(parts):
        say(line)
    return parts[name]


def say_of_held_out(parts: Container[str], share: HeldOut) -> None:
    """A line for data with a part train and none to validate on, of which a share is held out."""
    if "train" in parts:
        what = f"fold {share.number} of {share.of}" if isinstance(share, Fold) else f"{share:.0%} of train"
        say(f"there is no part val: {what} {'is' if isinstance(share, Fold) else 'are'} held out to validate on")


def say_of_test(parts: Mapping[str, object]) -> str | None:
    """What to say of a test part beside one that is trained on; None if there is nothing to say."""
    return "the part test is kept for evaluate: it is not trained on" if {"train", "test"} <= parts.keys() else None
