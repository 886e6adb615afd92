"""Files that name the classes of masks: this project's own, and those that other programs write beside masks."""

import csv
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastitpn.data.json_files import read_json
from fastitpn.data.parts import data_parts
from fastitpn.data.text_files import read_text
from fastitpn.data.yaml_words import read_yaml_words
from fastitpn.errors import InputError
from fastitpn.listing import children

CLASSES_FILE, ADE20K_FILE = "classes.yaml", "objectInfo150.txt"
EXPECTED = "names: a list, or index: name; then, all optional, colors, ignore_index, ignore_colors, reduce_zero_label"
_KEYS = ("names", "colors", "ignore_index", "ignore_colors", "reduce_zero_label")
_HEADERS = {
    "name": ("name", "class", "label", "classname", "class_name"),
    "number": ("pixelvalue", "index", "id", "value"),
}

Content = dict[str, Any]
"""Keys of `classes.yaml` to values as YAML words: texts, lists and mappings."""


def read_class_file(file: Path) -> Content:
    """What a file says of classes.

    Raises:
        InputError: It cannot be read, or is of none of the known forms.
    """
    reader = _READERS.get(file.name.lower()) or (
        _read_yaml if file.suffix.lower() in (".yaml", ".yml", ".json") else _read_table_or_list
    )
    try:
        return reader(file)
    except (ValueError, IndexError, KeyError, TypeError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise wrong(f"this is no table of classes: {error}", file) from error


def class_file(folder: Path) -> Path | None:
    """The file in a folder, or in its part train, that names its classes; None if there is none.

    This project's own comes before those of others.
    """
    inside = data_parts(folder).get("train") if folder.is_dir() else None
    return _file_in(folder) or (_file_in(inside) if inside else None)


def _file_in(folder: Path) -> Path | None:
    names = (CLASSES_FILE, "classes.yml", *_READERS)
    try:
        files = {path.name.lower(): path for path in sorted(children(folder), reverse=True) if path.is_file()}
    except OSError:
        return None
    return next((files[name.lower()] for name in names if name.lower() in files), None)


def wrong(what: str, file: Path | None) -> InputError:
    """The error for a file that cannot be used."""
    return InputError(what, where=file, expected=EXPECTED, fix="correct this file, or give another: classes=FILE")


def _read_yaml(file: Path) -> Content:
    content = _readable(read_yaml_words, file)
    if isinstance(content, list):
        content = {"names": content}
    if not isinstance(content, Mapping) or "names" not in content:
        raise wrong("the file names no classes", file)
    if unknown := sorted(str(key) for key in content if key not in _KEYS):
        raise wrong(f"unknown keys: {', '.join(unknown)}", file)
    return dict(content)


def _read_ade20k(file: Path) -> Content:
    """ADE20K's table: index, ratio, train, val and names, parted by tabs; the first of several names counts."""
    rows = [line.split("\t") for line in _lines(file)]
    names = {row[0].strip(): row[-1].split(",")[0].split(";")[0].strip() for row in rows[1:] if int(row[0]) >= 0}
    return {"names": names, "reduce_zero_label": "true"}


def _read_labelmap(file: Path) -> Content:
    """CVAT's `label:color_rgb:parts:actions`; a name may have colons, its colour has none."""
    names, colors = [], {}
    for line in _lines(file):
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"(.+?):\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(?::.*)?", line)
        if match is None and (match := re.fullmatch(r"([^:]+):*", line)) is None:
            raise wrong(f"this line is no label:red,green,blue:parts:actions: {line[:80]}", file)
        names.append(match[1].strip())
        if len(match.groups()) > 1:
            colors[names[-1]] = list(match.groups()[1:])
    return {"names": names, "colors": colors}


def _read_color_lines(file: Path) -> Content:
    """CamVid's lines of red, green, blue and the name."""
    rows = [line.split(maxsplit=3) for line in _lines(file) if not line.startswith("#")]
    names = [row[3].strip() for row in rows]
    return {"names": names, "colors": {name: row[:3] for name, row in zip(names, rows, strict=True)}}


def _read_table_or_list(file: Path) -> Content:
    """A table with a name and a number or a colour in each row; or a name in each line."""
    lines = _lines(file)
    delimiter = next((mark for mark in (",", ";", "\t") if lines and mark in lines[0]), None)
    if delimiter is None or file.suffix.lower() != ".csv":
        names = [line.strip() for line in lines if line.strip() != "__ignore__"]  # which labelme numbers -1
        return {"names": names}
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    header = [re.sub(r"[\s_-]", "", cell).lower() for cell in rows[0]]
    place = {key: next((header.index(n) for n in names if n in header), None) for key, names in _HEADERS.items()}
    if place["name"] is None:
        raise wrong(f"no column of names, the columns are {', '.join(rows[0])[:200]}", file)
    names = [row[place["name"]] for row in rows[1:]]
    content: Content = {"names": names}
    if place["number"] is not None:
        content["names"] = {row[place["number"]]: row[place["name"]] for row in rows[1:]}
    channels = [header.index(channel) for channel in ("r", "g", "b") if channel in header] or [
        header.index(channel) for channel in ("red", "green", "blue") if channel in header
    ]
    if len(channels) == 3:
        content["colors"] = {name: [row[c] for c in channels] for name, row in zip(names, rows[1:], strict=True)}
    return content


def _read_supervisely(file: Path) -> Content:
    """Supervisely's `obj_class_to_machine_color.json`: name to colour."""
    colors = _readable(read_json, file)
    if not isinstance(colors, dict):
        raise wrong("this is no object of names and their colours", file)
    return {"names": list(colors), "colors": {name: [str(part) for part in color] for name, color in colors.items()}}


def _readable(read: Callable[..., Any], file: Path) -> Any:
    try:
        return read(file, expected=EXPECTED)
    except InputError as error:
        raise wrong(f"the classes cannot be read: {error.what}", file) from error


def _lines(file: Path) -> list[str]:
    return [line for line in read_text(file).splitlines() if line.strip()]


_READERS: dict[str, Callable[[Path], Content]] = {
    ADE20K_FILE.lower(): _read_ade20k,
    "labelmap.txt": _read_labelmap,
    "label_colors.txt": _read_color_lines,
    "class_dict.csv": _read_table_or_list,
    "_classes.csv": _read_table_or_list,
    "obj_class_to_machine_color.json": _read_supervisely,
    "class_names.txt": _read_table_or_list,
    "label_names.txt": _read_table_or_list,
    "codes.txt": _read_table_or_list,
    "classes.txt": _read_table_or_list,
    "labels.txt": _read_table_or_list,
}
