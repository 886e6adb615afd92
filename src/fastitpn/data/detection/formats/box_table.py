"""Reads tables of boxes: a row for each box, with the columns of common tools, in any of the usual separators."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, SourcePart, source_format
from fastitpn.data.detection.values import number, numbers
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.named_files import NamedFiles, nfc
from fastitpn.data.parts import part_folders, part_of
from fastitpn.data.text_files import read_text
from fastitpn.errors import InputError
from fastitpn.listing import matching

LAYOUT = (
    "a CSV file with a row image,xmin,ymin,xmax,ymax,label for each box (or filename,width,height,class,xmin,...; "
    "x,y,w,h; path,x1,y1,x2,y2,class without a header), or a folder with one, or with train.csv and val.csv"
)
_COLUMNS = {
    "image": "image filename file_name image_path img_path path image_id imageid image_name file img",
    "label": "label class class_name classname category category_name name label_name labelname",
    "part": "split subset part",
    "xmin": "xmin x_min x1 left bbox_xmin",
    "ymin": "ymin y_min y1 top bbox_ymin",
    "xmax": "xmax x_max x2 right bbox_xmax",
    "ymax": "ymax y_max y2 bottom bbox_ymax",
    "x": "x bbox_x",
    "y": "y bbox_y",
    "w": "w bbox_w bbox_width box_width",
    "h": "h bbox_h bbox_height box_height",
    "width": "width image_width img_width",
    "height": "height image_height img_height",
    "cx": "cx x_center xcenter center_x",
    "cy": "cy y_center ycenter center_y",
    "box": "bbox box",
    "angle": "angle rotation theta box_angle box_rotation",
}
_COLUMN_OF = {alias: column for column, aliases in _COLUMNS.items() for alias in aliases.split()}
_CORNERS, _SIDES, _MIDDLE = ("xmin", "ymin", "xmax", "ymax"), ("x", "y", "w", "h"), ("cx", "cy", "w", "h")
_WITHOUT_HEADER = ("image", *_CORNERS, "label")
_SEPARATORS = ",;\t|"
_PEEKED_BYTES = 2**16


@dataclass(frozen=True, kw_only=True)
class _Row:
    line: int
    cells: Mapping[str, str]
    surplus: bool
    """Whether it has more cells than there are columns."""


@dataclass(frozen=True, kw_only=True)
class _Table:
    """The rows of a file, by the names of `_COLUMNS`, and the columns that have the sides of a box."""

    file: Path
    sides: tuple[str, ...]
    rows: Sequence[_Row]


def is_box_table(data: Path) -> bool:
    """Whether a file is a table with boxes, or a folder has one; tables of classes have none."""
    return bool(_files(data))


def read_box_table(data: Path, images: Path | None = None) -> Source:
    """The images of each part; classes are in alphabetical order. A row without a box names an image without objects.

    Values are pixels, or shares of the image if none in the table is above 1.

    Raises:
        InputError: A table lacks a column, or has no rows.
    """
    source = Source(path=data)
    for name, file in _files(data):
        table = _read_table(file)
        by_part: dict[str, list[_Row]] = {}
        for row in table.rows:
            by_part.setdefault(part_of(row.cells.get("part", "")) or name, []).append(row)
        for part, rows in by_part.items():
            _read_part(table, rows, images or data, source.part(part))
    source.name_classes()
    return source


def _files(data: Path) -> list[tuple[str, Path]]:
    """Tables with boxes, and the parts that they are of."""
    if data.is_file():
        candidates = [("", data)] if data.suffix.lower() in (".csv", ".tsv", ".txt") else []
    else:
        candidates = [(part_of(file.stem) or "", file) for file in _tables_in(data)]
        for part, folder in part_folders(data).items():
            candidates += [(part, file) for file in _tables_in(folder)]
    return [(part, file) for part, file in candidates if _has_boxes(file)]


def _tables_in(folder: Path) -> Iterable[Path]:
    return sorted(path for path in matching(folder, "*.[ct]sv") if path.is_file())


def _has_boxes(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            lines = (
                stream.read(_PEEKED_BYTES)
                .decode(errors="replace")
                .replace("\0", "")
                .lstrip("\ufeff\ufffd")
                .splitlines()
            )
        return _header(lines)[1] != ()
    except (OSError, csv.Error):
        return False


def _header(lines: Sequence[str]) -> tuple[list[str], tuple[str, ...], str]:
    """The columns of the first line, those with the sides of a box (none: there are no boxes), and the separator."""
    first = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    cells = next(csv.reader([first], delimiter=separator), [])
    columns = [_COLUMN_OF.get(cell.strip().lower().replace(" ", "_"), "") for cell in cells]
    if "image" in columns:
        if {"x", "y", "width", "height"} <= set(columns) and "w" not in columns:
            columns = [{"width": "w", "height": "h"}.get(column, column) for column in columns]
        if {"cx", "cy", "width", "height"} <= set(columns) and "w" not in columns:
            columns = [{"width": "w", "height": "h"}.get(column, column) for column in columns]
        forms = (_CORNERS, _SIDES, _MIDDLE, ("box",))
        return columns, next((form for form in forms if set(form) <= set(columns)), ()), separator
    rows = [row for row in csv.reader(lines[:20], delimiter=separator) if any(row)][:19]
    plain = rows and all(len(row) == len(_WITHOUT_HEADER) and _is_box_or_nothing(row[1:5]) for row in rows)
    return ([], _CORNERS, separator) if plain and any(row[1].strip() for row in rows) else (columns, (), separator)


def _is_box_or_nothing(cells: Sequence[str]) -> bool:
    return numbers(list(cells)) is not None or not any(cell.strip() for cell in cells)


def _read_table(file: Path) -> _Table:
    lines = read_text(file).splitlines()
    columns, sides, separator = _header(lines)
    expected = LAYOUT
    if not sides or (columns and "label" not in columns):
        what = "this table has no column of boxes" if not sides else "this table has no column of labels"
        first = next((line for line in lines if line.strip()), "")
        raise InputError(f"{what}, its first line is {first[:200]!r}", where=file, expected=expected, fix="add it")
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise InputError(f"this is no table: {error}", where=file, expected=expected, fix="save it as CSV") from error
    read = []
    header_to_come = bool(columns)
    for line, cells in enumerate(rows, start=1):
        if not any(cell.strip() for cell in cells):
            continue
        if header_to_come:
            header_to_come = False
            continue
        names = columns or _WITHOUT_HEADER
        read.append(
            _Row(
                line=line,
                cells={name: cell.strip() for name, cell in zip(names, cells, strict=False) if name},
                surplus=any(cell.strip() for cell in cells[len(names) :]),
            )
        )
    if not read:
        raise InputError("this table has no rows", where=file, expected=expected, fix="add a row for each box")
    return _Table(file=file, sides=sides, rows=read)


def _read_part(table: _Table, rows: Sequence[_Row], data: Path, part: SourcePart) -> None:
    file = table.file
    folder = data if data.is_dir() else file.parent
    folders = [file.parent, file.parent / "images", file.parent / file.stem, folder, folder / "images" / file.stem]
    files = NamedFiles(folders, [name for row in rows if (name := row.cells.get("image"))])
    by_image: dict[str, list[_Row]] = {}
    for row in rows:
        if name := row.cells.get("image"):
            by_image.setdefault(name, []).append(row)
        else:
            part.note("row without an image", f"line {row.line} names no image", file)
    shares = _are_shares(table)
    for name, of_image in by_image.items():
        path = files.find(name) or _with_suffix(name, files) or file.parent / name.replace("\\", "/")
        cells = of_image[0].cells
        size = part.sized(path, (cells.get("height"), cells.get("width")), file)
        if size is None:
            continue
        since = len(part.problems)
        read = (_object(row, table, size, shares, part) for row in of_image if _has_box(row, table))
        objects = tuple(labelled for labelled in read if labelled is not None)
        part.take(SourceImage(path=path, labels=file, size=size, objects=objects), since)
    part.notes.extend([line] if (line := files.line()) else [])


def _with_suffix(name: str, files: NamedFiles) -> Path | None:
    """The image of a name without its suffix; a name that has one is looked for as it is."""
    if Path(name).suffix.lower() in EXTENSIONS:
        return None
    return next((path for suffix in sorted(EXTENSIONS) if (path := files.find(name + suffix))), None)


def _has_box(row: _Row, table: _Table) -> bool:
    """Whether a row has a box or a label; one that has neither stands for an image without objects."""
    return any(row.cells.get(column) for column in (*table.sides, "label"))


def _box_of(row: _Row, table: _Table) -> list[float] | None:
    """The numbers of a box as they are written."""
    cells = [row.cells.get(column, "") for column in table.sides]
    values = numbers(cells[0]) if table.sides == ("box",) else numbers(cells)
    return values if values is not None and len(values) == 4 else None


def _are_shares(table: _Table) -> bool:
    values = [value for row in table.rows for value in _box_of(row, table) or ()]
    return bool(values) and all(0 <= value <= 1 for value in values)


def _object(row: _Row, table: _Table, size: tuple[int, int], shares: bool, part: SourcePart) -> SourceObject | None:
    where, values = f"line {row.line}", _box_of(row, table)
    name = nfc(row.cells.get("label", ""))
    if row.surplus:
        part.note("row of another length", f"{where} has more cells than there are columns", table.file)
        return None
    if not name or values is None:
        what = (
            f"{where} has no label" if not name else f"{where} ({name}) has no four numbers in {', '.join(table.sides)}"
        )
        part.note("row without label or box", what, table.file)
        return None
    if number(row.cells.get("angle")):
        what = f"{where} ({name}) has an angle, {row.cells['angle']}: of an oriented box give the upright box around it"
        part.note("oriented box", what, table.file)
        return None
    height, width = size
    first, second, third, fourth = (
        value * side if shares else value for value, side in zip(values, (width, height) * 2, strict=True)
    )
    if table.sides == _CORNERS:
        third, fourth = third - first, fourth - second
    elif table.sides == _MIDDLE:
        first, second = first - third / 2, second - fourth / 2
    box = part.box([first, second, third, fourth], size, table.file, f"{where} ({name})")
    return SourceObject(name=name, box=box) if box else None


FORMAT = source_format(
    title="CSV of boxes", layout=LAYOUT, recognise=is_box_table, read=read_box_table, takes_images=True
)
