"""A CSV table of images with any number of labels each: all in one column, or a column of 0 and 1 for each class."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from fastitpn.console import printing, say
from fastitpn.data.images.lists import raise_problems
from fastitpn.data.images.named_files import NamedFiles, nfc
from fastitpn.data.images.tables import Cells, first_folder, part_column, parts_in, places_of, read_cells
from fastitpn.errors import InputError

LABEL_COLUMNS = ("label", "labels", "tag", "tags", "class", "classes", "category", "categories", "target", "targets")
_SEPARATORS = "|;,"
_TRUTH = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}
_EXPECTED = (
    "a first line `image,labels` and lines like `1.jpg,boat|sea`, or `image,boat,sea` and lines like `1.jpg,1,0`, with "
    "paths relative to the folder of the table"
)


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The labels of images.

    Attributes:
        classes: All names, in alphabetical order; those of columns count even if no image has them.
        labels: For each image its names, which may be none.
        parts: For each image "train", "val" or "test"; "" if the table has no such column.
    """

    classes: list[str]
    labels: dict[Path, set[str]]
    parts: dict[Path, str]

    def part(self, name: str) -> "LabelTable":
        """The images of one part, with the same classes."""
        labels = {path: names for path, names in self.labels.items() if self.parts[path] == name}
        return replace(self, labels=labels, parts=dict.fromkeys(labels, name))


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Where the columns of a table are.

    Attributes:
        image: The place of the images.
        part: The place of their parts; None without such a column.
        labels: The places of all other columns.
        in_one: Whether the only other column has all labels of an image.
    """

    image: int
    part: int | None
    labels: list[int]
    in_one: bool

    def label_cell(self, values: list[str]) -> str:
        """All labels in a line, without brackets and quotes of a list; what bare commas divided is put together."""
        last = self.in_one and self.part is None and self.image == 0
        cell = ",".join(values[1:]) if last else "".join(values[self.labels[0] : self.labels[0] + 1])
        return re.sub(r"""['"]""", "", cell[1:-1]).strip() if re.fullmatch(r"\[.*\]|\(.*\)|\{.*\}", cell) else cell

    def fits(self, values: list[str], width: int) -> bool:
        """Whether a line has all that is needed; editors cut what is empty at the end of a file."""
        whole = len(values) == width or (self.in_one and self.part is None and self.image == 0)
        return whole and bool(values[self.image])


def read_label_table(file: Path) -> LabelTable:
    """Reads a table; an image may come on several lines, with a label on each.

    Raises:
        InputError: Wrong columns or values, and missing files: all in one error, with their line numbers; or the table
            is empty.
    """
    cells = _with_header(read_cells(file))
    header, columns = cells.header, _columns(file, cells)
    names = [] if columns.in_one else [nfc(header[place]) for place in columns.labels]
    separator = _separator([columns.label_cell(values) for _, values in cells.rows]) if columns.in_one else ""
    images = [values[columns.image] for _, values in cells.rows if len(values) > columns.image]
    files = NamedFiles([first_folder(file, images[0] if images else "")], images)
    labels: dict[Path, set[str]] = {}
    parts: dict[Path, str] = {}
    problems: list[str] = []
    for line, values in cells.rows:
        if not any(values) or not columns.fits(values, len(header)):
            needed = f"{len(header)} values are needed: {cells.separator.join(values)}"
            problems.append(f"line {line}: {needed if any(values) else 'empty'}")
            continue
        path = files.find(values[columns.image])
        if path is None:
            problems.append(f"line {line}: no such file: {values[columns.image]}")
            continue
        part = "" if columns.part is None else part_column(header[columns.part], [values[columns.part]])[0]
        if columns.part is not None and not part:
            problems.append(f"line {line}: {values[columns.part]!r} is not train, val or test")
        elif parts.setdefault(path, part) != part:
            problems.append(f"line {line}: {path.name} is already in a line above, in another part")
        if columns.in_one:
            labels.setdefault(path, set()).update(_split(columns.label_cell(values), separator))
            continue
        truths = {name: values[place] for name, place in zip(names, columns.labels, strict=True)}
        problems += [
            f"line {line}: column {name!r}: expected 0 or 1, true or false, yes or no, got {cell!r}"
            for name, cell in truths.items()
            if cell.casefold() not in _TRUTH
        ]
        true = {name for name, cell in truths.items() if _TRUTH.get(cell.casefold())}
        if labels.setdefault(path, true) != true:
            problems.append(f"line {line}: {path.name} is already in a line above, with other labels")
    raise_problems(file, problems, expected=_EXPECTED)
    classes = sorted({*names, *(name for of_image in labels.values() for name in of_image)})
    if not classes:
        raise InputError(
            "no image of this table has a label" if labels else "the table has no rows",
            where=file,
            expected=_EXPECTED,
            fix="add a line for each image",
        )
    blanks = "the labels of an image are divided by blanks, so that 'a b' is two of them" if separator == " " else None
    for note in filter(None, (files.line(), blanks)):
        say(f"{file.name}: {note}")
    return LabelTable(classes=classes, labels=labels, parts=parts)


def has_several_labels(file: Path) -> bool:
    """Whether images of a table plainly have several labels each, so that they are not of one class each.

    Names with a comma or a blank in them are common, and a class each, unless they are made of fewer words than there
    are such names; blanks divide words only below a plural.
    """
    with printing(False):  # whoever reads the table says what is odd about it
        cells = _with_header(read_cells(file))
    try:
        columns = _columns(file, cells)
    except InputError:
        return False
    if not columns.in_one:
        values = [values[place] for _, values in cells.rows for place in columns.labels if place < len(values)]
        return len(columns.labels) > 1 and bool(values) and all(value.casefold() in _TRUTH for value in values)
    distinct = {columns.label_cell(values) for _, values in cells.rows}
    separator = _separator(distinct)
    if separator == " " and not cells.header[columns.labels[0]].casefold().endswith("s"):
        return False
    parts = Counter(name for cell in distinct for name in _split(cell, separator))
    if separator in "|;":
        return max(parts.values(), default=0) > 1
    return len(parts) < len(distinct - {""})


def _with_header(cells: Cells) -> Cells:
    """A table of two columns may do without one."""
    return cells if cells.header else replace(cells, header=["image", "labels"])


def _columns(file: Path, cells: Cells) -> _Columns:
    """Where everything is.

    Raises:
        InputError: There is no column of images, or none beside it.
    """
    header, places = cells.header, places_of(cells.header)
    image = next(iter(places["image"]), None)
    part = places["part"][0] if parts_in(cells) else None
    labels = [place for place in range(len(header)) if place not in (image, part)]
    problems = [f"line 1: column {place} has no name" for place, name in enumerate(header, start=1) if not name]
    problems += [f"line 1: column {name!r} is there twice" for name, count in Counter(header).items() if count > 1]
    if image is None:
        problems.append(f"line 1: none of its columns is called image: {', '.join(header[:20])}")
    elif not labels:
        problems.append("line 1: there is no column with labels")
    raise_problems(file, problems, expected=_EXPECTED, fix="correct the first line")
    assert image is not None
    in_one = len(labels) == 1 and header[labels[0]].casefold() in LABEL_COLUMNS
    return _Columns(image=image, part=part, labels=labels, in_one=in_one)


def _separator(cells: Collection[str]) -> str:
    """What stands between names in a column: of these signs the first that occurs in it, else blanks."""
    return next((sign for sign in _SEPARATORS if any(sign in cell for cell in cells)), " ")


def _split(cell: str, separator: str) -> set[str]:
    names = cell.split(None if separator == " " else separator)
    return {nfc(name.strip()) for name in names} - {""}
