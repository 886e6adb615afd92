"""Images named in a CSV table, with their classes and parts, as spreadsheets and other people's scripts write it."""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.images.lists import raise_problems, read_lines
from fastitpn.data.images.named_files import NamedFiles, nfc
from fastitpn.data.parts import part_of
from fastitpn.errors import InputError

TABLES = (".csv", ".tsv")
"""Suffixes of tables."""
EXPECTED = (
    "a first line `image,label`, then one line per image, with paths relative to the folder of the table (other names: "
    "filename, file, path; class, category, target; the part of an image in a column split)"
)
_NAMES = {
    "image": "image filename file path image_path img file_name image_name image_file filepath file_path images name "
    "image_id",
    "label": "label class category target class_name label_name labels classes categories name",
    "part": "split subset part partition set is_valid is_val",
}
_COLUMNS = {column: names.split() for column, names in _NAMES.items()}
"""What a column may be called, the most certain name first."""
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_FLAG_COLUMNS = ("is_valid", "is_val")
_FLAGS = {"true": "val", "1": "val", "yes": "val", "false": "train", "0": "train", "no": "train"}
"""What such columns have, as fast.ai writes them."""
_IMAGE_FOLDERS = ("images", "img", "imgs")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        line: Number of the line.
        image: File.
        label: Name of the class; "" if labels were not asked for.
        part: "train", "val" or "test"; "" if the table has no such column.
    """

    line: int
    image: Path
    label: str
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A table as it is written, without blanks around its values.

    Attributes:
        separator: What divides the columns.
        header: Names of the columns; [] if the first line is an image already.
        rows: Number of each line, and its values.
    """

    separator: str
    header: list[str]
    rows: list[tuple[int, list[str]]]


def read_table(file: Path, *, labelled: bool = True) -> list[Row]:
    """Reads a table of images with a class each; relative paths start at the table's folder.

    Args:
        file: With a header that names the columns as in `_NAMES`, or with none and the columns image, label.
        labelled: Whether the classes are needed.

    Raises:
        InputError: Wrong columns, empty or incomplete rows, missing files, images listed twice: all in one error, with
            their line numbers; an empty table, or not a text file.
    """
    cells = read_cells(file)
    columns = _columns(file, cells, labelled)
    width = len(cells.header) or 2
    needed = [columns[name] for name in ("image", "label") if name in columns]
    rows, problems = [], []
    for line, values in cells.rows:
        if not any(values):
            problems.append(f"line {line}: empty")
        elif len(values) != width or not all(values[place] for place in needed):
            problems.append(f"line {line}: {width} values are needed: {cells.separator.join(values)}")
        else:
            rows.append((line, values))
    names = [values[columns["image"]] for _, values in rows]
    files = NamedFiles([first_folder(file, names[0] if names else "")], names)
    parts = [""] * len(rows)
    if "part" in columns:
        place = columns["part"]
        parts = part_column(cells.header[place], [values[place] for _, values in rows])
    result: list[Row] = []
    seen: dict[Path, Row] = {}
    several = False
    for (line, values), name, part in zip(rows, names, parts, strict=True):
        label = nfc(values[columns["label"]]) if "label" in columns else ""
        path = files.find(name)
        if path is None:
            problems.append(f"line {line}: no such file: {name}")
            continue
        if "part" in columns and not part:
            problems.append(f"line {line}: {values[columns['part']]!r} is not train, val or test")
        row = Row(line=line, image=path, label=label, part=part)
        if (first := seen.setdefault(path, row)) is not row:
            problems.append(f"line {line}: {name} ({label}) is already in line {first.line} ({first.label})")
            several = several or label != first.label
        result.append(row)
    problems.sort(key=lambda problem: int(problem.split()[1].rstrip(":")))
    fix = {"fix": "multilabel=true if images have several labels, else delete these lines"} if several else {}
    raise_problems(file, problems, expected=EXPECTED, **fix)
    if not result:
        raise InputError("the table has no rows", where=file, expected=EXPECTED, fix="add one line per image")
    _say(file, cells, columns, files)
    return result


def read_cells(file: Path) -> Cells:
    """Reads a table of any columns, which commas, semicolons, tabs or bars divide, whatever fits its first line.

    Raises:
        InputError: It is not a text file, or no table.
    """
    lines, start = read_lines(file), 0
    stated = re.fullmatch(r'"?sep=(.)"?', lines[0])  # how Excel says it
    if stated:
        lines, start = lines[1:] or [""], 1
    try:
        separator = stated[1] if stated else max(_SEPARATORS, key=lambda sign: _fit(file, lines[0], sign))
        rows = [(start + line, values) for line, values in _split(lines, separator)]
    except (csv.Error, TypeError) as error:  # such as a quote that is never closed
        raise InputError(f"cannot read this table: {error}", where=file, expected=EXPECTED, fix="correct it") from error
    if rows and not any(_is_file(file.parent, value) for value in rows[0][1]):
        return Cells(separator=separator, header=rows[0][1] or [""], rows=rows[1:])
    return Cells(separator=separator, header=[], rows=rows)


def _split(lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=separator)
    for values in reader:
        yield reader.line_num, [value.strip() for value in values]


def _fit(file: Path, line: str, separator: str) -> tuple[int, int, int]:
    """How well a separator divides the first line: columns that are known, files, and columns at all."""
    header = next(_split([line], separator), (1, []))[1]
    return sum(map(bool, places_of(header).values())), sum(_is_file(file.parent, name) for name in header), len(header)


def places_of(header: Sequence[str]) -> dict[str, list[int]]:
    """Where each column may be, by the names that it may have, the most certain first."""
    names = [_normal(name) for name in header]
    return {
        column: [place for known in _COLUMNS[column] for place, name in enumerate(names) if name == known]
        for column in _COLUMNS
    }


def _columns(file: Path, cells: Cells, labelled: bool) -> dict[str, int]:
    """The place of each column that the table has.

    Raises:
        InputError: Image or label is missing, or may be in two columns.
    """
    if not cells.header:
        first = cells.rows[0][1] if cells.rows else []
        image = next((place for place, name in enumerate(first) if _is_file(file.parent, name)), 0)
        if len(first) == 2:
            return {"image": image, "label": 1 - image}
        what = f"line 1: it names no columns, and there are {len(first)} of them"
        raise_problems(file, [what], expected=EXPECTED, fix="add a first line that names them")
    places = places_of(cells.header)
    first = cells.rows[0][1] if cells.rows else []
    # Of filename and path, the one that has files.
    images = sorted(places["image"], key=lambda place: place >= len(first) or not _is_file(file.parent, first[place]))
    columns = {"image": images[0]} if images else {}
    labels = [place for place in places["label"] if place not in images[:1]]
    sure = [place for place in labels if _normal(cells.header[place]) != "name"]
    columns |= {"label": labels[0]} if labels else {}
    columns |= {"part": places["part"][0]} if parts_in(cells) else {}
    names = [_normal(name) for name in cells.header]
    known = f" (the columns are {', '.join(map(repr, cells.header[:20]))})" if any(cells.header) else ""
    wanted = ("image", "label") if labelled else ("image",)
    problems = [f"line 1: column {name!r} is missing{known}" for name in wanted if name not in columns]
    if any(names.count(names[place]) > 1 for place in columns.values()):
        problems.append("line 1: a column is named twice")
    elif labelled and len(sure) > 1:
        choice = " or ".join(repr(cells.header[place]) for place in sure)
        problems.append(f"line 1: the class may be in {choice}: leave one of these columns")
    raise_problems(file, problems, expected=EXPECTED, fix="correct the first line")
    return columns


def parts_in(cells: Cells) -> set[str]:
    """All parts that a table names; none if a column of such a name has something else, such as numbers of folds."""
    places = places_of(cells.header)["part"]
    if not places:
        return set()
    values = [values[places[0]] for _, values in cells.rows if places[0] < len(values)]
    return set(part_column(cells.header[places[0]], values)) - {""}


def part_column(column: str, values: Sequence[str]) -> list[str]:
    """The part that each value of a column names; "" where it names none."""
    if _normal(column) in _FLAG_COLUMNS:
        return [_FLAGS.get(value.casefold(), "") for value in values]
    return [part_of(value) or "" for value in values]


def first_folder(file: Path, name: str) -> Path:
    """Where the names of a table begin: its folder, or, if the first image is not there but there, one within."""
    folders = (file.parent, *(file.parent / inside for inside in (*_IMAGE_FOLDERS, file.stem, f"{file.stem}_images")))
    whole = next((folder for folder in folders if _is_file(folder, name)), None)
    folder = whole or next((folder for folder in folders if NamedFiles([folder], [name]).find(name)), file.parent)
    if folder != file.parent:
        say(f"{file.name}: names of images begin in the folder {folder.name}")
    return folder


def _say(file: Path, cells: Cells, columns: dict[str, int], files: NamedFiles) -> None:
    """Says how a table was read, where that is not plain."""
    lines = []
    if cells.separator != ",":
        lines.append(f"its columns are divided by {_SEPARATORS.get(cells.separator, cells.separator)}")
    if not cells.header:
        lines.append("it names no columns: images and classes were detected by the existing files")
    unused = [name for place, name in enumerate(cells.header) if name and place not in columns.values()]
    if unused:
        lines.append(f"columns that are not used: {', '.join(unused[:20])}{', ...' if len(unused) > 20 else ''}")
    for line in (*lines, files.line()):
        if line:
            say(f"{file.name}: {line}")


def _normal(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _is_file(folder: Path, name: str) -> bool:
    return bool(name) and os.path.isfile(folder / name.replace("\\", "/"))  # False for what no file can be called
