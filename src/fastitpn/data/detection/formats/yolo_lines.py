"""The lines of YOLO's text files: boxes, outlines, oriented boxes and poses, in shares of the width and height."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.detection.sources import SourceObject, SourcePart

_LARGEST_SHARE = 1.5
"""Sides above this are no shares; those a little above 1 are cut off at the edge of their image."""
_COMMA = re.compile(r"\d,\d")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that is not empty.

    Attributes:
        number: In its file, from 1.
        words: As they are written.
        label: Number of the class; not a number if that is none.
        values: The other numbers; empty if one of them is none.
    """

    number: int
    words: tuple[str, ...]
    label: float
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LineForm:
    """What all lines of a data set have in common.

    Attributes:
        keypoints: How many numbers of keypoints follow a box; None if outlines are meant.
        confidence: Whether a confidence closes each line, as in predictions.
    """

    keypoints: int | None = None
    confidence: bool = False


def read_lines(text: str) -> list[Line]:
    """The lines of a text file."""
    lines = enumerate(text.splitlines(), start=1)
    return [_line(number, words) for number, line in lines if (words := tuple(line.split()))]


def form_of(lines: Iterable[Line], keypoints: int | None) -> LineForm:
    """What the lines of a data set have in common; what of them is not used is told.

    Args:
        lines: All lines of the data set.
        keypoints: How many numbers of keypoints the settings announce; None if they say nothing.
    """
    values = [line.values for line in lines if line.values]
    counts = {len(numbers) for numbers in values}
    if keypoints is None and len(counts) == 1 and all(map(_is_pose, values)):
        keypoints = counts.pop() - 4
        say(f"each line has {keypoints // 3} keypoints of three numbers behind its box")
    if keypoints is not None:
        say("the boxes of poses are used, their keypoints are not")
    usual = (0 if keypoints is None else keypoints) % 2
    confidence = bool(values) and all(
        len(numbers) >= 5 and len(numbers) % 2 != usual and 0 <= numbers[-1] <= 1 for numbers in values
    )
    if confidence:
        say("the last number of each line is read as a confidence, which is not used (and not as an angle)")
    return LineForm(keypoints=keypoints, confidence=confidence)


def read_object(
    line: Line, form: LineForm, names: Mapping[int, str], size: tuple[int, int], file: Path, part: SourcePart
) -> SourceObject | None:
    """The object of a line; None, and noted, if it cannot be used.

    Args:
        line: `class x y width height` of the box's middle, perhaps with keypoints, or `class x0 y0 x1 y1 x2 y2 ...`.
        form: What the lines of the data set have in common.
        names: Names of the classes by their numbers.
        size: Height and width of the image.
        file: The text file.
        part: Where to note what is wrong.
    """
    where = f"line {line.number}"
    values = line.values[:-1] if form.confidence else line.values
    boxed = len(values) == 4 or (form.keypoints is not None and len(values) == 4 + form.keypoints)
    outlined = form.keypoints is None and len(values) >= 6 and len(values) % 2 == 0
    if not (boxed or outlined) or not line.label.is_integer():
        part.note("line of another form", f"{where}: {' '.join(line.words)[:60]!r} {_another_form(line, form)}", file)
        return None
    if line.label not in names:
        numbers = list(names)
        known = (
            f"there are {len(names)} names"
            if numbers == list(range(len(names)))
            else f"the names are numbered {', '.join(map(str, numbers[:10]))}{', ...' * (len(numbers) > 10)}"
        )
        part.note("unknown class", f"{where}: class {line.label:g}, but {known}", file)
        return None
    if max(values[2:4] if boxed else values) > _LARGEST_SHARE:
        what = f"{where}: {' '.join(line.words)[:60]!r} is in pixels, not in shares of the width and height"
        part.note("box in pixels", what, file)
        return None
    name = names[int(line.label)]
    if not boxed:
        return _outlined(name, values, size, where, file, part)
    height, width = size
    x, y, box_width, box_height = values[:4]
    sides = [(x - box_width / 2) * width, (y - box_height / 2) * height, box_width * width, box_height * height]
    box = part.box(sides, size, file, where)
    return SourceObject(name=name, box=box) if box else None


def _outlined(
    name: str, values: Sequence[float], size: tuple[int, int], where: str, file: Path, part: SourcePart
) -> SourceObject | None:
    height, width = size
    xs, ys = ([value * side for value in values[start::2]] for start, side in ((0, width), (1, height)))
    box = part.box([min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)], size, file, where)
    inside = [
        min(max(value, 0.0), float(side))
        for pair in zip(xs, ys, strict=True)
        for value, side in zip(pair, (width, height), strict=True)
    ]
    return SourceObject(name=name, box=box, polygons=(tuple(inside),)) if box else None


def _line(number: int, words: tuple[str, ...]) -> Line:
    try:
        values = tuple(map(float, words[1:]))
    except ValueError:
        values = ()
    try:
        label = float(words[0])
    except ValueError:
        label = math.nan
    return Line(number=number, words=words, label=label, values=values if all(map(math.isfinite, values)) else ())


def _is_pose(values: Sequence[float]) -> bool:
    """Whether keypoints of x, y and visibility seem to follow a box."""
    return len(values) >= 7 and (len(values) - 4) % 3 == 0 and set(values[6::3]) <= {0.0, 1.0, 2.0}


def _another_form(line: Line, form: LineForm) -> str:
    if form.keypoints is not None:
        return f"is not `class x y width height` with {form.keypoints} numbers of keypoints, as kpt_shape says"
    what = "is neither `class x y width height` nor `class x0 y0 x1 y1 x2 y2 ...`"
    if _COMMA.search(" ".join(line.words)):
        return f"{what}: it has commas"
    if math.isnan(line.label) and len(line.values) >= 4:
        return f"{what}: it has a name where the number of its class should be"
    asked = "is the last number a confidence? Of an oriented box give the corners: `class x0 y0 x1 y1 x2 y2 x3 y3`"
    return f"{what}: {asked}" if len(line.values) == 5 else what
