"""The categories of COCO's files, whose ids have gaps and differ between files, as labels from 0 on."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.data.detection.values import Key, key, numbered, whole, without_id
from fastitpn.data.images.named_files import nfc
from fastitpn.errors import InputError

__all__ = ["read_categories", "whole"]


def read_categories(
    listed: Sequence[Any], file: Path, used: Container[Any], classes: DetectionClasses | None = None
) -> tuple[DetectionClasses, dict[Key, int]]:
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
    named: dict[Key, str] = {}
    for place, category in enumerate(listed):
        category = category if isinstance(category, dict) else {}
        id_key, name = key(category.get("id")), category.get("name")
        name = str(name) if type(name) is int else name
        if id_key is None or not isinstance(name, str) or not name.strip():
            what = without_id(place, "categories", category.get("id"))
            if id_key is not None:
                what = (
                    f"number {place} of the categories has no name"
                    if name is None
                    else (f"number {place} of the categories has the name {name!r:.40}, which is no text")
                )
            raise InputError(what, where=file, expected=expected, fix="correct the categories of this file")
        if id_key in named:
            what = f"two categories have the id {id_key}: {named[id_key]!r} and {name!r}"
            raise InputError(what, where=file, expected=expected, fix="give one of them another id")
        named[id_key] = nfc(name)
    root = _root(listed, used)
    if root is not None:
        named = {id_key: name for id_key, name in named.items() if id_key != root}
    twice = [name for name, times in Counter(named.values()).items() if times > 1]
    if twice or not named:
        what = f"two categories have the name {twice[0]!r}" if twice else "there are no categories"
        raise InputError(what, where=file, expected=expected, fix="correct the categories of this file")
    number_of = numbered(named)
    id_of = {named[id_key]: number for id_key, number in number_of.items()}
    if classes is None:
        names = tuple(sorted(id_of, key=id_of.__getitem__))
        file_classes = DetectionClasses(names=names, ids=tuple(id_of[name] for name in names))
    else:
        file_classes = _with_ids(classes, id_of, file)
    label_of = {name: label for label, name in enumerate(map(nfc, file_classes.names))}
    return file_classes, {id_key: label_of[name] for id_key, name in named.items() if name in label_of}


def _with_ids(classes: DetectionClasses, id_of: Mapping[str, int], file: Path) -> DetectionClasses:
    """The classes with the ids of a file, see `read_categories`."""
    if not set(id_of) & set(map(nfc, classes.names)):
        raise InputError(
            f"the classes of this file are others: {_some(sorted(id_of))}",
            where=file,
            expected=f"those of the training data or the model: {_some(classes.names)}",
            fix="rename its categories",
        )
    named = set(id_of.values())
    free = count(max(*named, *classes.ids) + 1)
    ids: list[int] = []
    for name, number in zip(classes.names, classes.ids, strict=True):
        of_file = id_of.get(nfc(name))
        ids.append(of_file if of_file is not None else number if number not in named else next(free))
    return DetectionClasses(names=classes.names, ids=tuple(ids))


def _root(listed: Sequence[Any], used: Container[Any]) -> Key | None:
    """The category that Roboflow's exports put above all others, which nothing in them is of."""
    above = Counter(str(category.get("supercategory")) for category in listed)
    for category in listed:
        name = str(category["name"])
        below = above[name] - (category.get("supercategory") == name)
        id_key = key(category["id"])
        if below == len(listed) - 1 > 0 and id_key not in used:
            return id_key
    return None


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:10])}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"
