"""A CSV table with a column of images and one of their classes."""

from pathlib import Path

from fastitpn.data.classification.formats.base import ClassFormat, ImagesByClass, Oddity
from fastitpn.data.classification.formats.label_table import has_several_labels
from fastitpn.data.images.tables import TABLES, Row, read_table
from fastitpn.data.parts import PARTS
from fastitpn.errors import InputError


def _rows(file: Path) -> list[Row]:
    if has_several_labels(file):
        raise InputError(
            "this table gives each image any number of labels",
            where=file,
            expected="the columns image,label with one class for each image, or that several are asked for",
            fix="multilabel=true, with fastitpn finetune classify",
        )
    return read_table(file)


def _parts(file: Path) -> dict[str, ImagesByClass]:
    parts: dict[str, ImagesByClass] = {part: {} for part in (*PARTS, "")}
    for row in _rows(file):
        parts[row.part].setdefault(row.label, []).append(row.image)
    return {part: by_class for part, by_class in parts.items() if by_class}


def _read(file: Path) -> ImagesByClass:
    by_class: ImagesByClass = {}
    for row in _rows(file):
        by_class.setdefault(row.label, []).append(row.image)
    return by_class


def _check(file: Path) -> tuple[list[tuple[Path, str]], list[Oddity]]:
    return [(row.image, row.label) for row in read_table(file)], []


FORMAT = ClassFormat(
    title="class folders",  # as `doctor` has always called both
    layout="FILE.csv with the first line `image,label`, and paths relative to it",
    recognise=lambda data: data.is_file() and data.suffix.lower() in TABLES,
    read=_read,
    check=_check,
    parts=_parts,
)
