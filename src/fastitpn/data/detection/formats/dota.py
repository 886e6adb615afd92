"""Reads DOTA's text files of oriented boxes: one for each image, with four corners in pixels and a name a line."""

import re
from collections.abc import Iterator
from pathlib import Path

from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, SourcePart, source_format
from fastitpn.data.detection.values import numbers
from fastitpn.data.images.folders import has_images, list_images
from fastitpn.data.images.named_files import nfc
from fastitpn.data.parts import part_folders
from fastitpn.data.text_files import read_text
from fastitpn.errors import InputError
from fastitpn.listing import matching, subfolders

LAYOUT = (
    "FOLDER/images/a.png and FOLDER/labelTxt/a.txt (or labels, annfiles), here or in the folders train, val and test; "
    "a line is x0 y0 x1 y1 x2 y2 x3 y3 name difficult"
)
_LABELS = re.compile(r"labeltxt.*|labels|annfiles|annotations", re.IGNORECASE)
_HEADER = re.compile(r"(imagesource|gsd)\s*:", re.IGNORECASE)
_DIFFICULT = {"0": False, "1": True, "2": True}
_PEEKED = 5
"""Files that are looked into to tell the format."""


def is_dota(data: Path) -> bool:
    """Whether a folder has text files of this format."""
    files = (file for folder in _folders(data).values() for file in _label_files(folder)[:_PEEKED])
    return any(_corners(words) is not None for file in files for _, words in _lines(file))


def read_dota(data: Path) -> Source:
    """The images of each part; classes are in alphabetical order. Difficult objects become crowds.

    An image without a text file has nothing in it.
    """
    source = Source(path=data)
    for name, folder in _folders(data).items():
        files = {nfc(file.stem): file for file in _label_files(folder)}
        images = folder / "images"
        for image in list_images(images if has_images(images) else folder):
            _read(image, files.pop(nfc(image.stem), None), source.part(name))
        for file in files.values():
            what = f"there is no image {file.stem}"
            source.part(name).note("text file without its image", what, file, image=True)
    source.name_classes()
    return source


def _folders(data: Path) -> dict[str, Path]:
    if not data.is_dir():
        return {}
    parts = {name: folder for name, folder in part_folders(data).items() if _label_files(folder)}
    return parts or {"": data}


def _label_files(folder: Path) -> list[Path]:
    inside = sorted(path for path in subfolders(folder) if _LABELS.fullmatch(path.name))
    return next((files for path in inside if (files := matching(path, "*.txt"))), [])


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbers and words of the lines that are for objects; none of a file that is no text."""
    try:
        lines = read_text(file).splitlines()
    except InputError:
        return
    for number, line in enumerate(lines, start=1):
        if line.strip() and not _HEADER.match(line.strip()):
            yield number, line.split()


def _corners(words: list[str]) -> list[float] | None:
    """The eight numbers of a line that is `x0 y0 x1 y1 x2 y2 x3 y3 name`, perhaps with a difficulty."""
    named = len(words) in (9, 10) and numbers([words[8]]) is None
    return numbers(words[:8]) if named else None


def _read(image: Path, file: Path | None, part: SourcePart) -> None:
    size = part.size_of(image)
    if size is None:
        return
    since = len(part.problems)
    lines = _lines(file) if file else ()
    read = (_object(words, size, file or image, f"line {number}", part) for number, words in lines)
    objects = tuple(labelled for labelled in read if labelled is not None)
    part.take(SourceImage(path=image, labels=file or image, size=size, objects=objects), since)


def _object(words: list[str], size: tuple[int, int], file: Path, where: str, part: SourcePart) -> SourceObject | None:
    corners = _corners(words)
    crowd = _DIFFICULT.get(words[9] if len(words) == 10 else "0")
    if corners is None or crowd is None:
        what = f"{where}: {' '.join(words)[:60]!r} is not `x0 y0 x1 y1 x2 y2 x3 y3 name difficult`"
        part.note("line of another form", what, file)
        return None
    outlined = part.outlined(nfc(words[8]), [corners], size, file, where)
    if outlined is None:
        return None
    return SourceObject(name=outlined.name, box=outlined.box, polygons=outlined.polygons, crowd=crowd)


FORMAT = source_format(title="DOTA", layout=LAYOUT, recognise=is_dota, read=read_dota)
