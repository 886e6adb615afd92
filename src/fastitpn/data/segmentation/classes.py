"""What the numbers in masks mean: names and colours of classes, and numbers that are no class."""

import colorsys
import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from PIL import ImageColor

from fastitpn.errors import InputError

IGNORE = 255
"""Label of pixels that count neither in the loss nor in the figures, whatever number the files have for them."""
MOST_CLASSES = 255

Color = tuple[int, int, int]

CLASSES_FILE, ADE20K_FILE = "classes.yaml", "objectInfo150.txt"
_BACKGROUND = ("background", "unlabeled", "unlabelled", "void", "other", "none")
_EXPECTED = "names: a list, or index: name; then, all optional, colors, ignore_index, reduce_zero_label"


@dataclass(frozen=True, kw_only=True)
class SegmentationClasses:
    """The classes of a data set, and how its files number them.

    Attributes:
        names: In the order of their labels, 0 first; empty if they are to be numbered by what the masks hold.
        colors: For drawing, one for each name.
        ignore_index: Number in the files of pixels to leave out.
        reduce_zero_label: Number 0 in the files is no class (left out), and 1 is the first one.
        things: Names of the classes whose things are told from each other; None for a semantic segmentation.
    """

    names: tuple[str, ...] = ()
    colors: tuple[Color, ...] = ()
    ignore_index: int = IGNORE
    reduce_zero_label: bool = False
    things: tuple[str, ...] | None = None

    @property
    def panoptic(self) -> bool:
        """Whether segments are meant, and not classes of pixels alone."""
        return self.things is not None

    @property
    def counted(self) -> tuple[bool, ...]:
        """Whether each class is one of things, in the order of `names`."""
        return tuple(name in (self.things or ()) for name in self.names)

    def numbered(self, count: int) -> "SegmentationClasses":
        """These, or if they have no names, `count` classes with their number in the files as name."""
        if self.names:
            return self
        first = int(self.reduce_zero_label)
        names = tuple(str(number) for number in range(first, first + count))
        return replace(self, names=names, colors=distinct_colors(names))


def find_classes(
    folder: Path,
    file: Path | None = None,
    *,
    ignore_index: int | None = None,
    reduce_zero_label: bool | None = None,
) -> SegmentationClasses:
    """The classes of a data set.

    Args:
        folder: May have `classes.yaml`, or `objectInfo150.txt` as ADE20K has it (where 0 is no class).
        file: Read instead, in either format.
        ignore_index: Wins over the file; 255 if neither says anything.
        reduce_zero_label: Whether 0 in the files is no class; wins over the data's own file.

    Raises:
        InputError: The file is not there, or is wrong.
    """
    if file is None:
        file = next((path for name in (CLASSES_FILE, ADE20K_FILE) if (path := folder / name).is_file()), None)
    content: dict[str, Any] = {}
    if file is not None:
        content = _read_ade20k(file) if file.suffix.lower() == ".txt" else _read_yaml(file)
    if ignore_index is None:
        ignore_index = content.get("ignore_index", IGNORE)
    if reduce_zero_label is None:
        reduce_zero_label = content.get("reduce_zero_label", False)
    names = _names(content.get("names"), reduce_zero_label, file)
    colors = _colors(content.get("colors"), names, reduce_zero_label, file)
    return SegmentationClasses(
        names=names, colors=colors, ignore_index=ignore_index, reduce_zero_label=reduce_zero_label
    )


def distinct_colors(names: Sequence[str]) -> tuple[Color, ...]:
    """A colour for each class, neighbours far apart; grey for a background."""
    colors = []
    for number, name in enumerate(names):
        hue = (0.02 + number * 0.618034) % 1
        lightness, saturation = ((0.5, 0.75), (0.36, 0.8), (0.66, 0.7))[number // 2 % 3]
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, saturation))
        colors.append((110, 110, 110) if name.lower() in _BACKGROUND else (red, green, blue))
    return tuple(colors)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _wrong(f"the classes cannot be read: {' '.join(str(error).split())}", file) from error
    if isinstance(content, list):
        content = {"names": content}
    if not isinstance(content, Mapping) or "names" not in content:
        raise _wrong("the file names no classes", file)
    known = {"names", "colors", "ignore_index", "reduce_zero_label"}
    if unknown := sorted(str(key) for key in content if key not in known):
        raise _wrong(f"unknown keys: {', '.join(unknown)}", file)
    ignore, reduce = content.get("ignore_index", IGNORE), content.get("reduce_zero_label", False)
    if isinstance(ignore, bool) or not isinstance(ignore, int) or not 0 <= ignore < 2**16:
        raise _wrong(f"ignore_index is {ignore!r}, not a number from 0 to 65535", file)
    if not isinstance(reduce, bool):
        raise _wrong(f"reduce_zero_label is {reduce!r}, not true or false", file)
    return dict(content)


def _read_ade20k(file: Path) -> dict[str, Any]:
    """ADE20K's table: index, ratio, train, val and names, parted by tabs; the first of several names counts."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream, delimiter="\t") if row]
        names = {int(row[0]): row[-1].split(",")[0].split(";")[0].strip() for row in rows[1:]}
    except (OSError, ValueError, IndexError) as error:
        raise _wrong(f"this is no table of classes as ADE20K has it: {error}", file) from error
    return {"names": names, "reduce_zero_label": True}


def _names(given: Any, reduce_zero_label: bool, file: Path | None) -> tuple[str, ...]:
    if given is None:
        return ()
    first = int(reduce_zero_label)
    if isinstance(given, Mapping):
        wanted = list(range(first, first + len(given)))
        if sorted(given, key=str) != sorted(wanted, key=str):
            hint = "; if 0 is no class: reduce_zero_label=true" if 0 not in given and not first else ""
            raise _wrong(
                f"the classes are numbered {', '.join(map(str, list(given)[:4]))}, ..., "
                f"and not {first} to {first + len(given) - 1}{hint}",
                file,
            )
        given = [given[number] for number in wanted]
    if not isinstance(given, list) or any(isinstance(name, list | dict) or name is None for name in given):
        raise _wrong("the names are neither a list nor index: name", file)
    names = tuple(str(name) for name in given)
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise _wrong(f"two classes have the name {double[0]!r}", file)
    if not 2 <= len(names) <= MOST_CLASSES:
        raise _wrong(f"{len(names)} classes, expected 2 to {MOST_CLASSES}", file)
    return names


def _colors(given: Any, names: tuple[str, ...], reduce_zero_label: bool, file: Path | None) -> tuple[Color, ...]:
    """One for each name: as given, by name or number or in order, else one that stands out."""
    colors = list(distinct_colors(names))
    if given is None:
        return tuple(colors)
    if isinstance(given, list):
        if len(given) > len(names):
            raise _wrong(f"{len(given)} colors for {len(names)} classes", file)
        given = dict(zip(names, given, strict=False))  # those left over get colors that stand out
    if not isinstance(given, Mapping):
        raise _wrong("the colors are neither a list nor name: color", file)
    places = {name: place for place, name in enumerate(names)}
    places_by_number = {place + int(reduce_zero_label): place for place in range(len(names))}
    for key, value in given.items():
        place = places_by_number.get(key) if isinstance(key, int) else places.get(str(key))
        if place is None:
            raise _wrong(f"a color for {key!r}, which is none of the classes", file)
        colors[place] = _color(value, file)
    return tuple(colors)


def _color(value: Any, file: Path | None) -> Color:
    if isinstance(value, list) and len(value) == 3 and all(type(part) is int and 0 <= part <= 255 for part in value):
        return (value[0], value[1], value[2])
    try:
        red, green, blue = ImageColor.getrgb(str(value))[:3]
    except ValueError:
        raise _wrong(f"{value!r} is no color; give [red, green, blue] from 0 to 255, or '#rrggbb'", file) from None
    return (red, green, blue)


def _wrong(what: str, file: str | os.PathLike[str] | None) -> InputError:
    return InputError(what, where=file, expected=_EXPECTED, fix="correct this file, or give another: classes=FILE")
