"""What the numbers in masks mean: names and colours of classes, and numbers that are no class."""

import colorsys
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import ImageColor

from fastitpn.data.segmentation.class_files import class_file, read_class_file, wrong

IGNORE = 255
"""Label of pixels that count neither in the loss nor in the figures, whatever number the files have for them."""
MOST_CLASSES = 255

Color = tuple[int, int, int]

_BACKGROUND = ("background", "unlabeled", "unlabelled", "void", "other", "none")
_GRAY = (110, 110, 110)


@dataclass(frozen=True, kw_only=True)
class SegmentationClasses:
    """The classes of a data set, and how its files number them.

    Attributes:
        names: In the order of their labels, 0 first; empty if they are to be numbered by what the masks hold.
        colors: For drawing, one for each name.
        ignore_index: Number in the files of pixels to leave out.
        reduce_zero_label: Number 0 in the files is no class (left out), and 1 is the first one.
        things: Names of the classes whose things are told from each other; None for a semantic segmentation.
        values: Number in the files of each name; empty if they are 0, 1, 2 and so on.
        left_out: Further numbers in the files of pixels to leave out.
        palette: Colours that classes have in files of colours, one for each name, None where it is not known.
        ignore_colors: Colours in the files of pixels to leave out.
        ignore_is_given: Whether somebody chose `ignore_index`; else 255 may also be a class of masks of 0 and 255.
    """

    names: tuple[str, ...] = ()
    colors: tuple[Color, ...] = ()
    ignore_index: int = IGNORE
    reduce_zero_label: bool = False
    things: tuple[str, ...] | None = None
    values: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
    palette: tuple[Color | None, ...] = field(default=(), compare=False)
    ignore_colors: tuple[Color, ...] = field(default=(), compare=False)
    ignore_is_given: bool = field(default=False, compare=False)

    @property
    def panoptic(self) -> bool:
        """Whether segments are meant, and not classes of pixels alone."""
        return self.things is not None

    @property
    def background(self) -> tuple[int, ...]:
        """Labels of what pictures do not colour."""
        return tuple(label for label, name in enumerate(self.names) if is_background(name))

    @property
    def counted(self) -> tuple[bool, ...]:
        """Whether each class is one of things, in the order of `names`."""
        return tuple(name in (self.things or ()) for name in self.names)

    def numbered(self, count: int) -> "SegmentationClasses":
        """These, or if they have no names, `count` classes with their number in the files as name."""
        if self.names:
            return self
        first = int(self.reduce_zero_label)
        names = tuple(map(str, self.values or range(first, first + count)))
        return replace(self, names=names, colors=distinct_colors(names))


def find_classes(
    folder: Path,
    file: Path | None = None,
    *,
    ignore_index: int | None = None,
    reduce_zero_label: bool | None = None,
    values: tuple[int, ...] = (),
) -> SegmentationClasses:
    """The classes of a data set.

    Args:
        folder: May have `classes.yaml`, `objectInfo150.txt` as ADE20K has it (where 0 is no class), or a file of names
            or colours of another program, see `class_files`.
        file: Read instead, in any of these formats.
        ignore_index: Wins over the file; 255 if neither says anything.
        reduce_zero_label: Whether 0 in the files is no class; wins over the data's own file.
        values: Number in the masks of each class.

    Raises:
        InputError: The file is not there, or is wrong.
    """
    if file is None:
        file = class_file(folder)
    content: dict[str, Any] = {} if file is None else read_class_file(file)
    ignore_is_given = ignore_index is not None or "ignore_index" in content
    if ignore_index is None:
        ignore_index = _ignore_index(content.get("ignore_index", str(IGNORE)), file)
    if reduce_zero_label is None:
        reduce_zero_label = _yes_or_no(content.get("reduce_zero_label", "false"), file)
    listed = content.get("names")
    if not values and not reduce_zero_label and (numbered := _with_gaps(listed)):
        listed, values = list(numbered.values()), tuple(numbered)
    names = _names(listed, reduce_zero_label, file)
    if values and names and len(values) != len(names):
        raise wrong(f"masks.values has {len(values)} numbers, and there are {len(names)} names of classes", file)
    palette = _colors(content.get("colors"), names, reduce_zero_label, file)
    colors = tuple(color or other for color, other in zip(palette, distinct_colors(names), strict=True))
    ignored = content.get("ignore_colors", [])
    if not isinstance(ignored, list) or (ignored and all(isinstance(part, str) and part.isdigit() for part in ignored)):
        ignored = [ignored]
    return SegmentationClasses(
        names=names,
        colors=colors,
        ignore_index=ignore_index,
        reduce_zero_label=reduce_zero_label,
        values=values,
        palette=palette,
        ignore_colors=tuple(_color(value, file) for value in ignored),
        ignore_is_given=ignore_is_given,
    )


def is_background(name: str) -> bool:
    """Whether a class is what stays when all objects are named: pictures do not colour it."""
    return name.lower() in _BACKGROUND


def distinct_colors(names: Sequence[str]) -> tuple[Color, ...]:
    """A colour for each class, neighbours far apart; grey for a background.

    A background takes no colour from the others, so that detection, classification and segmentation of the same
    classes agree.
    """
    return _distinct_colors(tuple(names))


@functools.lru_cache(maxsize=32)
def _distinct_colors(names: tuple[str, ...]) -> tuple[Color, ...]:
    colors, number = [], 0
    for name in names:
        if is_background(name):
            colors.append(_GRAY)
            continue
        hue = (0.02 + number * 0.618034) % 1
        lightness, saturation = ((0.5, 0.75), (0.36, 0.8), (0.66, 0.7))[number // 2 % 3]
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, saturation))
        colors.append((red, green, blue))
        number += 1
    return tuple(colors)


def _names(given: Any, reduce_zero_label: bool, file: Path | None) -> tuple[str, ...]:
    if given is None:
        return ()
    first = int(reduce_zero_label)
    if isinstance(given, Mapping):
        given = _by_number(given)
        wanted = list(range(first, first + len(given)))
        if sorted(given, key=str) != sorted(wanted, key=str):
            hint = "; if 0 is no class: reduce_zero_label=true" if 0 not in given and not first else ""
            raise wrong(
                f"the classes are numbered {', '.join(map(str, list(given)[:4]))}, ..., "
                f"and not {first} to {first + len(given) - 1}{hint}",
                file,
            )
        given = [given[number] for number in wanted]
    if not isinstance(given, list) or any(not isinstance(name, str) or not name for name in given):
        raise wrong("the names are neither a list nor index: name", file)
    names = tuple(given)
    if not 2 <= len(names) <= MOST_CLASSES:
        raise wrong(f"{len(names)} classes, expected 2 to {MOST_CLASSES}", file)
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise wrong(f"two classes have the name {double[0]!r}", file)
    return names


def _with_gaps(given: Any) -> dict[int, str]:
    """Names by their numbers in ascending order, where these begin at 0 and some are left out; else {}."""
    numbered = _by_number(given) if isinstance(given, Mapping) else {}
    if not all(isinstance(number, int) and number < 2**16 for number in numbered) or len(numbered) < 2:
        return {}
    numbers = sorted(numbered)
    return {} if numbers[0] or numbers[-1] < len(numbers) else {number: numbered[number] for number in numbers}


def _by_number(given: Mapping[str, Any]) -> dict[Any, Any]:
    """Names by their numbers, also if the numbers were written behind the names."""
    if given and all(_whole(value) is not None for value in given.values()) and any(_whole(k) is None for k in given):
        given = {value: name for name, value in given.items()}
    numbers = [_whole(key) for key in given]
    return {key if number is None else number: name for (key, name), number in zip(given.items(), numbers, strict=True)}


def _whole(word: Any) -> int | None:
    return int(word) if isinstance(word, str) and word.isdecimal() and len(word) < 10 else None


def _ignore_index(word: Any, file: Path | None) -> int:
    number = _whole(word)
    if number is None or number >= 2**16:
        raise wrong(f"ignore_index is {word}, not a number from 0 to 65535", file)
    return number


def _yes_or_no(word: Any, file: Path | None) -> bool:
    if not isinstance(word, str) or word.lower() not in ("true", "false", "yes", "no"):
        raise wrong(f"reduce_zero_label is {word}, not true or false", file)
    return word.lower() in ("true", "yes")


def _colors(given: Any, names: tuple[str, ...], reduce_zero_label: bool, file: Path | None) -> tuple[Color | None, ...]:
    """One for each name, as given, by name or number or in order; None where none is given."""
    colors: list[Color | None] = [None] * len(names)
    if given is None:
        return tuple(colors)
    if isinstance(given, list):
        if len(given) > len(names):
            raise wrong(f"{len(given)} colors for {len(names)} classes", file)
        given = dict(zip(names, given, strict=False))  # those left over get colors that stand out
    if not isinstance(given, Mapping):
        raise wrong("the colors are neither a list nor name: color", file)
    places = {name: place for place, name in enumerate(names)}
    places |= {
        number: place for place in range(len(names)) if (number := str(place + int(reduce_zero_label))) not in places
    }
    for key, value in given.items():
        if key not in places:
            raise wrong(f"a color for {key!r}, which is none of the classes", file)
        colors[places[key]] = _color(value, file)
    return tuple(colors)


def _color(value: Any, file: Path | None) -> Color:
    if isinstance(value, list) and len(value) == 3:
        red, green, blue = (_whole(part) for part in value)
        if red is not None and green is not None and blue is not None and max(red, green, blue) <= 255:
            return red, green, blue
    try:
        red, green, blue = ImageColor.getrgb(value if isinstance(value, str) else "")[:3]
    except ValueError:
        shown = ", ".join(map(str, value)) if isinstance(value, list) else repr(value)
        raise wrong(f"{shown} is no color; give [red, green, blue] from 0 to 255, or '#rrggbb'", file) from None
    return red, green, blue
