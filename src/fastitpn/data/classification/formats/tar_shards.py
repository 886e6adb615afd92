"""Tar shards as WebDataset has them: a picture and its class in members of the same name, such as 1.jpg and 1.cls."""

from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

from fastitpn.data.classification.formats.base import ClassFormat, ImagesByClass, Oddity
from fastitpn.data.images.lists import raise_problems
from fastitpn.data.images.named_files import nfc
from fastitpn.data.images.tar_members import members, read_member
from fastitpn.data.images.tar_shards import all_shards, part_of_shard, picture_names, sample_of
from fastitpn.errors import InputError
from fastitpn.json_text import from_json

LAYOUT = "FOLDER/00000.tar ... with members 1.jpg and 1.cls, or 1.json with the class under label"
_KEYS = ("label", "class", "class_name", "label_name", "category", "cls", "target")
_ENDINGS = (".cls", ".json", ".cls.txt", ".label", ".txt")
"""Members that may hold a class, the most certain first."""
_MOST_TRIED = 20


def _shards(data: Path) -> list[Path]:
    if data.is_file():
        return [data] if data.suffix == ".tar" else []
    return all_shards(data) if data.is_dir() else []


def _recognise(data: Path) -> bool:
    """Whether one of the first pictures in the first shard has a class."""
    try:
        shards = _shards(data)
        return bool(shards) and any(label for _, label in islice(_labelled(shards[0]), _MOST_TRIED))
    except InputError:
        return False  # which is said where the images are read


def _labelled(shard: Path) -> Any:
    """Each picture of a shard, with its class; "" where it has none."""
    names = members(shard)
    by_sample: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        sample, ending = sample_of(name)
        by_sample[sample][f".{ending.lower()}"] = name
    for picture in picture_names(names):
        of_sample = by_sample[sample_of(picture)[0]]
        labels = (_label(shard / of_sample[ending]) for ending in _ENDINGS if ending in of_sample)
        yield shard / picture, next(filter(None, labels), "")


def _label(path: Path) -> str:
    """The class in a member; "" if it holds none."""
    try:
        text = (read_member(path) or b"").decode("utf-8-sig").strip()
        content = from_json(text) if path.suffix == ".json" else text
    except (OSError, ValueError):
        return ""
    if path.suffix == ".json":
        values = [content.get(key) for key in _KEYS] if isinstance(content, dict) else [content]
        content = next((value for value in values if isinstance(value, str | int) and not isinstance(value, bool)), "")
    elif path.suffix == ".txt" and not text.isdecimal():  # a caption
        return ""
    return nfc(str(content).strip()) if len(str(content)) < 200 else ""


def _parts(data: Path) -> dict[str, ImagesByClass]:
    shards = _shards(data)
    parts: dict[str, ImagesByClass] = {}
    problems = []
    for shard in shards:
        by_class = parts.setdefault(part_of_shard(shard) or "", {})
        for path, label in _labelled(shard):
            if not label:
                problems.append(f"{path.relative_to(shard.parent)}: no class in a member .cls, or .json under label")
            by_class.setdefault(label, []).append(path)
    if "train" in parts and "" in parts:
        for label, paths in parts.pop("").items():
            parts["train"].setdefault(label, []).extend(paths)
    raise_problems(data, problems, expected=LAYOUT, fix="write these samples again, with their classes")
    return parts


def _read(data: Path) -> ImagesByClass:
    by_class: ImagesByClass = {}
    for part in _parts(data).values():
        for label, paths in part.items():
            by_class.setdefault(label, []).extend(paths)
    return by_class


def _check(data: Path) -> tuple[list[tuple[Path, str]], list[Oddity]]:
    return [(path, label) for label, paths in _read(data).items() for path in paths], []


FORMAT = ClassFormat(title="tar shards", layout=LAYOUT, recognise=_recognise, read=_read, check=_check, parts=_parts)
