"""A CSV table with the columns image,label."""

from pathlib import Path

from fastitpn.data.classification.formats.base import ClassFormat, Oddity
from fastitpn.data.images.lists import read_table


def _read(file: Path) -> dict[str, list[Path]]:
    by_class: dict[str, list[Path]] = {}
    for row in read_table(file):
        by_class.setdefault(row.label, []).append(row.image)
    return by_class


def _check(file: Path) -> tuple[list[tuple[Path, str]], list[Oddity]]:
    return [(row.image, row.label) for row in read_table(file)], []


FORMAT = ClassFormat(
    title="class folders",  # as `doctor` has always called both
    layout="FILE.csv with the first line `image,label`, and paths relative to it",
    recognise=lambda data: data.is_file() and data.suffix.lower() == ".csv",
    read=_read,
    check=_check,
)
