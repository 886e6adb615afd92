"""The image files that a file of annotations names: where they are, whether they decode, and their sizes."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastitpn.data.detection.problems import Problem
from fastitpn.data.detection.values import Key, whole
from fastitpn.data.images.decode import read_image, upright_size
from fastitpn.data.images.named_files import NamedFiles
from fastitpn.data.looking import look_at_each
from fastitpn.errors import InputError

_LARGEST_PX = 2**15
"""Sides that are believed without having seen the image."""


@dataclass(kw_only=True)
class Entry:
    """An image of a file of annotations.

    Attributes:
        id: Number of the image: its id in the file, if that is a number.
        key: Id of the image in the file.
        path: File of the image.
        declared: Height and width as the file has them, if it does.
        size: Height and width: of the image, upright, or while that cannot be read as declared.
        usable: Nothing is wrong with it.
    """

    id: int
    key: Key
    path: Path
    declared: tuple[int, int] | None
    size: tuple[int, int] | None = field(init=False)
    usable: bool = True

    def __post_init__(self) -> None:
        self.size = self.declared if self.declared and max(self.declared) < _LARGEST_PX else None


def declared_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width of an entry, if it has both."""
    height, width = whole(image.get("height")), whole(image.get("width"))
    return (height, width) if height is not None and width is not None and min(height, width) > 0 else None


def locate(names: Iterable[str], images: Path) -> tuple[dict[str, Path], str | None]:
    """The files of images, and what to say of those that are found under other names than written.

    Args:
        names: In the file of annotations; may begin with the name of the folder of images, or of one above.
        images: Folder of the images.

    Returns:
        `images / name` for one that is nowhere.
    """
    folders = [images, images / "images", *images.resolve().parents[:2]]
    # where no folder is called images, the one that names begin with has been given another name
    prefix = "" if any((folder / "images").is_dir() for folder in folders) else "images/"
    plain = {name: name.replace("\\", "/").removeprefix(prefix) if prefix else name for name in dict.fromkeys(names)}
    files = NamedFiles(folders, plain.values())
    places = {name: files.find(text) or images / name.replace("\\", "/") for name, text in plain.items()}
    return places, files.line()


def check_files(entries: Sequence[Entry]) -> list[Problem]:
    """Compares every image's size with the declared one, and decodes it, in threads; a bar shows if that takes long.

    A JPEG is decoded at an eighth of its size, which finds the same damage in a fraction of the time.

    Args:
        entries: Get their size; those with a problem are marked as not usable.
    """
    problems = look_at_each(_check, entries, "checking images")
    return [problem for problem in problems if problem is not None]


def _check(entry: Entry) -> Problem | None:
    try:
        width, height = upright_size(entry.path)
        if entry.declared in (None, (height, width)):  # another size says enough, and may take long to decode
            read_image(entry.path, min_px=1)
    except InputError as error:
        missing = not os.path.exists(entry.path)  # of a name too long for any file, Path's raises
        entry.usable = False
        kind = "missing image file" if missing else "image that cannot be read"
        return Problem(kind=kind, what=error.what, file=entry.path, image_id=entry.key, leaves_out="image")
    if entry.declared in (None, (height, width)):
        entry.size = height, width
        return None
    entry.usable = False
    declared = f"{entry.declared[1]}x{entry.declared[0]}"
    what = f"it is {width}x{height} px, the annotations are for {declared} px"
    if entry.declared == (width, height):
        what += (
            " (it is turned upright, as its EXIF block asks; the annotations seem to be for it as it lies in the file)"
        )
    return Problem(kind="image of another size", what=what, file=entry.path, image_id=entry.key, leaves_out="image")
