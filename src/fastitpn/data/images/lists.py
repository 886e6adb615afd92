"""Images named in a file: a text list (one path per line) or a CSV table with the columns image,label."""

import csv
from dataclasses import dataclass
from pathlib import Path

from fastitpn.errors import InputError

COLUMNS = ("image", "label")
_MOST_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table."""

    line: int
    image: Path
    label: str


def read_list(file: Path) -> list[Path]:
    """Reads a text file with one image path per line; relative paths start at its folder, empty lines are skipped.

    Raises:
        InputError: Lines whose file is missing (all in one error), an empty list, or not a text file.
    """
    paths, problems = [], []
    for line, text in enumerate(_read_text(file).split("\n"), start=1):
        if text.strip():
            paths.append(file.parent / text.strip())
            if not paths[-1].is_file():
                problems.append(f"line {line}: no such file: {text.strip()}")
    _raise_problems(file, problems, expected="one path of an image per line, relative to the folder of the list")
    if not paths:
        raise InputError(
            "the list is empty", where=file, expected="one path of an image per line", fix=f"ls *.jpg > {file.name}"
        )
    return paths


def read_table(file: Path) -> list[Row]:
    """Reads a CSV table with the columns image and label; relative paths start at the table's folder.

    Raises:
        InputError: Wrong columns, empty or incomplete rows, missing files, images listed twice: all in one error, with
            their line numbers; an empty table, or not a text file.
    """
    reader = csv.reader(_read_text(file).split("\n"))
    expected = "a first line `image,label`, then one line per image, with paths relative to the folder of the table"
    header = [name.strip() for name in next(reader, [])]
    wrong = [f"line 1: unknown column {name!r}" for name in header if name not in COLUMNS]
    wrong += [f"line 1: column {name!r} is missing" for name in COLUMNS if name not in header]
    if len(set(header)) < len(header):
        wrong.append("line 1: a column is named twice")
    if wrong:
        _raise_problems(file, wrong, expected=expected)
    rows: list[Row] = []
    seen: dict[Path, Row] = {}
    problems = []
    for values in reader:
        line = reader.line_num
        cells = dict(zip(header, (value.strip() for value in values), strict=False))
        if not any(cells.values()):
            problems.append(f"line {line}: empty")
            continue
        if len(values) != len(header) or not all(cells.values()):
            problems.append(f"line {line}: {len(header)} values are needed: {','.join(values)}")
            continue
        row = Row(line=line, image=file.parent / cells["image"], label=cells["label"])
        if not row.image.is_file():
            problems.append(f"line {line}: no such file: {cells['image']}")
        elif (first := seen.setdefault(row.image, row)) is not row:
            problems.append(
                f"line {line}: {cells['image']} ({row.label}) is already in line {first.line} ({first.label})"
            )
        rows.append(row)
    _raise_problems(file, problems, expected=expected)
    if not rows:
        raise InputError("the table has no rows", where=file, expected=expected, fix="add one line per image")
    return rows


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").rstrip()  # Spreadsheets put a byte order mark in front.
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"cannot read this list: {error}",
            where=file,
            expected="a text file in UTF-8 that lists images, or a folder of images",
            fix="save it as UTF-8 text, or give a folder",
        ) from error


def _raise_problems(file: Path, problems: list[str], *, expected: str) -> None:
    if not problems:
        return
    listed = problems[:_MOST_LISTED]
    if len(problems) > len(listed):
        listed.append(f"... and {len(problems) - len(listed)} more")
    raise InputError(
        "1 line of this list is wrong" if len(problems) == 1 else f"{len(problems)} lines of this list are wrong",
        where=f"{file}\n    " + "\n    ".join(listed),
        expected=expected,
        fix="correct or delete these lines, then run the same command again",
    )
