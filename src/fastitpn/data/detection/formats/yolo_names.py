"""The names of YOLO's classes by their numbers, which may begin at 1 and have gaps."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastitpn.console import say
from fastitpn.data.detection.formats.yolo_settings import Settings
from fastitpn.data.images.named_files import nfc
from fastitpn.data.parts import part_of
from fastitpn.data.text_files import UNICODE, decode, read_text
from fastitpn.errors import InputError
from fastitpn.listing import matching

NAMES_FILES = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt", "predefined_classes.txt")
_EXPECTED = "names: a list, or number: name, none twice"
_LARGEST = 10**6
_NUMBER = re.compile(r"[0-9]{1,7}")


def read_names(settings: Settings, *, expected: str) -> dict[int, str]:
    """The name of each class number, in the order of the numbers.

    Args:
        settings: May have them, or the path of their file; else a file has a name in each line, beside or in `labels`,
            or above a folder that is named after a part.
        expected: Layouts of the format, for the error.

    Raises:
        InputError: They are nowhere, or are wrong.
    """
    if isinstance(settings.names, str) and settings.file and settings.file.suffix.lower() == ".data":
        return _read_file(_darknet_file(settings.names, settings.file))
    if settings.file is not None:
        return _numbered(settings.names, settings.file)
    folder = settings.folder
    above = [folder.resolve().parent] if part_of(folder.resolve().name) else []
    folders = [folder, folder / "labels", *matching(folder, "*/labels"), *matching(folder, "labels/*"), *above]
    file = next((path for folder in folders for name in NAMES_FILES if (path := folder / name).is_file()), None)
    if file is None:
        raise InputError(
            "the names of the classes are nowhere", where=settings.folder, expected=expected, fix="write classes.txt"
        )
    return _read_file(file)


def _darknet_file(named: str, file: Path) -> Path:
    """The file of the names, beside obj.data or where it says."""
    places = (file.parent / named, file.parent / named.replace("\\", "/").rsplit("/", 1)[-1])
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(
            f"{file.name} has names = {named}, which is not there",
            where=file,
            expected="a text file with a name in each line",
            fix="correct the path, or put the file there",
        )
    return path


def _read_file(file: Path) -> dict[int, str]:
    """A name in each line; a line in the middle that is empty counts as a number without a name."""
    lines = [line.strip() for line in read_text(file).splitlines()]
    encoding = decode(file.read_bytes())[1]
    names = {number: line for number, line in enumerate(lines) if line}
    if encoding not in UNICODE:
        say(f"{file} is not in UTF-8: read as {encoding}, with the names {', '.join(list(names.values())[:10])}")
    return _checked(names, file)


def _numbered(names: Any, file: Path) -> dict[int, str]:
    if isinstance(names, list):
        names = dict(enumerate(names))
    elif isinstance(names, Mapping):
        if wrong := [key for key in names if not _NUMBER.fullmatch(key)]:
            raise _wrong(f"{wrong[0]!r} is no number of a class", file)
        names = {int(key): name for key, name in names.items()}
    else:
        raise _wrong("this file has no names" if names in (None, "") else f"names is {names!r:.80}", file)
    for number, name in names.items():
        if not isinstance(name, str) or not name.strip():
            raise _wrong(f"number {number} is {name!r:.80}, not a name", file)
    return _checked({number: names[number] for number in sorted(names)}, file)


def _checked(names: dict[int, str], file: Path) -> dict[int, str]:
    names = {number: nfc(name.strip()) for number, name in names.items()}
    if not names:
        raise _wrong("there are none", file)
    if max(names) > _LARGEST:
        raise _wrong(f"{max(names)} is no number of a class", file)
    known: dict[str, int] = {}
    for number, name in names.items():
        if known.setdefault(name, number) != number:
            raise _wrong(f"{known[name]} and {number} are both {name!r}", file)
    return names


def _wrong(what: str, file: Path) -> InputError:
    return InputError(
        f"the names of the classes are wrong: {what}", where=file, expected=_EXPECTED, fix="correct this file"
    )
