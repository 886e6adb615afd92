"""The categories of COCO's files, whose ids have gaps and differ between files, as labels from 0 on."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.errors import InputError

_LARGEST_ID = 2**63


def whole(value: Any) -> int | None:
    """An id as a whole number; None if it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and abs(value) < _LARGEST_ID else None


def read_categories(
    listed: Sequence[Any], file: Path, used: Collection[int | None], classes: DetectionClasses | None = None
) -> tuple[DetectionClasses, dict[int, int]]:
    """The classes of a file, and the label of each category id.

    Args:
        listed: The categories of the file.
        file: File of the annotations, for messages.
        used: Ids of categories that annotations have.
        classes: Labels are to be theirs, by name; None takes all names of the file, in the order of the ids.

    Returns:
        `classes` with this file's ids; names that it lacks keep their ids if those are free, else get new ones.

    Raises:
        InputError: The categories are wrong, or none of them is of the `classes`.
    """
    expected = "categories with an id and a name each, none twice"
    named: dict[int, str] = {}
    for place, category in enumerate(listed):
        number = whole(category.get("id")) if isinstance(category, dict) else None
        name = category.get("name") if isinstance(category, dict) else None
        if number is None or not isinstance(name, str) or not name:
            what = f"number {place} of the categories has no {'id' if number is None else 'name'}"
            raise InputError(what, where=file, expected=expected, fix="correct the categories of this file")
        if number in named:
            what = f"two categories have the id {number}: {named[number]!r} and {name!r}"
            raise InputError(what, where=file, expected=expected, fix="give one of them another id")
        named[number] = name
    root = _root(listed, used)
    if root is not None:
        named = {number: name for number, name in named.items() if number != root}
    twice = [name for name, count in Counter(named.values()).items() if count > 1]
    if twice or not named:
        what = f"two categories have the name {twice[0]!r}" if twice else "there are no categories"
        raise InputError(what, where=file, expected=expected, fix="correct the categories of this file")
    if classes is None:
        ids = tuple(sorted(named))
        names = tuple(named[number] for number in ids)
        return DetectionClasses(names=names, ids=ids), {number: label for label, number in enumerate(ids)}
    id_of = {name: number for number, name in named.items()}
    if not set(id_of) & set(classes.names):
        raise InputError(
            f"the classes of this file are others: {_some(sorted(id_of))}",
            where=file,
            expected=f"those of the training data or the model: {_some(classes.names)}",
            fix="rename its categories",
        )
    taken = {*named, *classes.ids}
    ids = ()
    for name, number in zip(classes.names, classes.ids, strict=True):
        category = id_of.get(name, number if number not in named else max(taken) + 1)
        taken.add(category)
        ids = (*ids, category)
    file_classes = DetectionClasses(names=classes.names, ids=ids)
    return file_classes, {number: label for label, number in enumerate(ids) if number in named}


def _root(listed: Sequence[Any], used: Collection[int | None]) -> int | None:
    """The category that Roboflow's exports put above all others, which nothing in them is of."""
    for category in listed:
        others = [other.get("supercategory") for other in listed if other is not category]
        if others and set(others) == {category["name"]} and category["id"] not in used:
            return int(category["id"])
    return None


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:10])}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"
