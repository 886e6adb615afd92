"""What the file beside a YOLO data set says: data.yaml, or darknet's obj.data."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastitpn.data.parts import PARTS, part_of
from fastitpn.data.text_files import read_text
from fastitpn.data.yaml_words import read_yaml_words
from fastitpn.errors import InputError
from fastitpn.listing import matching

YAML_SUFFIXES = (".yaml", ".yml")
_EXPECTED = "names: a list, or number: name; train: and val: folders or lists of images"
_NOTHING = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is said of a data set.

    Attributes:
        folder: Folder that relative paths begin at.
        file: The file that says so; None if there is none.
        names: Names of the classes, as they stand in it; for obj.data, the path of their file.
        parts: Folders and lists of images by the part's name, as they stand in it.
        root: Folder of the images, as it stands in it.
        keypoints: Numbers of keypoints behind each box; None if nothing is said of them.
    """

    folder: Path
    file: Path | None = None
    names: Any = None
    parts: dict[str, list[str]] = field(default_factory=dict)
    root: str = ""
    keypoints: int | None = None


def find_settings(data: Path) -> Path | None:
    """The file of settings of a folder, or the one that is given; None if there is none."""
    if data.is_file():
        return data if data.suffix.lower() in (*YAML_SUFFIXES, ".data") else None
    yaml_files = sorted(path for suffix in YAML_SUFFIXES for path in matching(data, f"*{suffix}"))
    candidates = [data / "data.yaml", *yaml_files, *matching(data, "*.data")]
    return next((file for file in candidates if file.is_file() and _names_classes(file)), None)


def read_settings(data: Path) -> Settings:
    """The settings of a folder or file.

    Raises:
        InputError: The file cannot be read, or something in it is of the wrong form.
    """
    file = find_settings(data)
    if file is None:
        return Settings(folder=data if data.is_dir() else data.parent)
    content = _read_darknet(file) if file.suffix.lower() == ".data" else read_yaml_words(file, expected=_EXPECTED)
    if not isinstance(content, dict):
        raise _wrong("this file names no classes", file)
    parts: dict[str, list[str]] = {}
    for key, value in content.items():
        part, paths = part_of(key), _paths(key, value, file)
        if part is None or not paths:
            continue
        if parts.setdefault(part, paths) != paths:
            raise _wrong(f"the part {part} is named twice: {parts[part][0]} and {paths[0]}", file)
    root = content.get("path", "")
    return Settings(
        folder=file.parent,
        file=file,
        names=content.get("names"),
        parts={part: parts[part] for part in PARTS if part in parts},
        root=root if isinstance(root, str) and root not in _NOTHING else "",
        keypoints=_keypoints(content.get("kpt_shape"), file),
    )


def _names_classes(file: Path) -> bool:
    try:
        return "names" in read_text(file)
    except InputError:  # the reader will say so, if this is the file that is meant
        return file.stem == "data"


def _read_darknet(file: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in read_text(file).splitlines())
    return {key.strip(): value.strip() for key, equals, value in lines if equals}


def _paths(key: str, value: Any, file: Path) -> list[str]:
    if part_of(key) is None:
        return []
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(path, str) for path in values):
        raise _wrong(f"{key} is {value!r:.80}, neither a path nor a list of paths", file)
    return [path for path in values if path not in _NOTHING]


def _keypoints(shape: Any, file: Path) -> int | None:
    if shape is None or shape in _NOTHING:
        return None
    values = shape if isinstance(shape, list) else []
    if len(values) != 2 or not all(isinstance(value, str) and value.isdecimal() for value in values):
        raise _wrong(f"kpt_shape is {shape!r:.80}, not [keypoints, 2] or [keypoints, 3]", file)
    count, numbers = int(values[0]), int(values[1])
    if numbers not in (2, 3) or not count:
        raise _wrong(f"kpt_shape is [{count}, {numbers}], not [keypoints, 2] or [keypoints, 3]", file)
    return count * numbers


def _wrong(what: str, file: Path) -> InputError:
    return InputError(what, where=file, expected=_EXPECTED, fix="correct this file")
