"""Reads LabelMe's JSON: a file for each image, with shapes in pixels."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, SourcePart, source_format
from fastitpn.data.detection.values import numbers
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.named_files import NamedFiles, nfc
from fastitpn.data.json_files import read_json
from fastitpn.data.parts import part_folders
from fastitpn.errors import InputError
from fastitpn.listing import matching

LAYOUT = "FOLDER/a.json beside FOLDER/a.jpg, in FOLDER or in its folders train, val and test; images may be in images/"
_EXPECTED = "LabelMe's annotation of an image: an object with shapes and imagePath"
_PEEKED = 5
"""Files that are looked into to tell the format."""
_CIRCLE_CORNERS = 64


def is_labelme(data: Path) -> bool:
    """Whether a folder has JSON files of this format; JSON of other tools may lie beside them."""
    return any(
        all(f'"{name}"'.encode() in content for name in ("shapes", "imagePath"))
        for folder in _folders(data).values()
        for file in _files(folder)[:_PEEKED]
        for content in [file.read_bytes()]
    )


def read_labelme(data: Path) -> Source:
    """The images of each part; classes are in alphabetical order.

    Polygons of one label and group_id are one object. Rectangles and lines have boxes alone, circles and turned
    rectangles (`rotation`, of X-AnyLabeling) an outline too.
    """
    source = Source(path=data)
    for name, folder in _folders(data).items():
        for file in _files(folder):
            _read(file, data, source.part(name))
    source.name_classes()
    return source


def _folders(data: Path) -> Mapping[str, Path]:
    if not data.is_dir():
        return {}
    parts = {name: folder for name, folder in part_folders(data).items() if _files(folder)}
    return parts or {"": data}


def _files(folder: Path) -> list[Path]:
    return next((files for name in (".", "annotations", "labels") if (files := matching(folder / name, "*.json"))), [])


def _read(file: Path, data: Path, part: SourcePart) -> None:
    try:
        content = read_json(file, expected=_EXPECTED)
    except InputError as error:
        part.note("JSON file that cannot be read", error.what, file, image=True)
        return
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list):
        if isinstance(content, dict) and "imagePath" in content:
            part.note("JSON file that cannot be read", "it has no list of shapes", file, image=True)
        return  # of another tool
    path = _image_of(file, content, data)
    if not os.path.exists(path) and content.get("imageData"):
        what = f"{path.name} is not there; it is only inside of the JSON file, as imageData: save it beside it"
        part.note("missing image file", what, file, image=True)
        return
    size = part.sized(path, (content.get("imageHeight"), content.get("imageWidth")), file)
    if size is None:
        return
    since = len(part.problems)
    objects = _objects(shapes, size, file, part)
    part.take(SourceImage(path=path, labels=file, size=size, objects=objects), since)


def _image_of(file: Path, content: Mapping[str, Any], data: Path) -> Path:
    """The image beside a file, or of its name in `images`, wins over the name inside, which is often stale."""
    folders = [file.parent, file.parent / "images", file.parent.parent / "images", data]
    for folder in folders:
        candidates = (folder / f"{file.stem}{end}" for suffix in sorted(EXTENSIONS) for end in (suffix, suffix.upper()))
        if image := next((path for path in candidates if path.is_file()), None):
            return image
    name = content.get("imagePath")
    if not isinstance(name, str) or not name:
        return file.with_suffix(".jpg")
    return NamedFiles(folders, [name]).find(name) or file.parent / name.replace("\\", "/")


def _objects(shapes: Sequence[Any], size: tuple[int, int], file: Path, part: SourcePart) -> tuple[SourceObject, ...]:
    outlines: dict[tuple[str, int | str], list[list[float]]] = {}
    places: dict[tuple[str, int | str], str] = {}
    objects: list[SourceObject | None] = []
    for place, shape in enumerate(shapes):
        shape = shape if isinstance(shape, dict) else {}
        kind = shape.get("shape_type") or "polygon"
        where = f"shape {place}"
        label = shape.get("label")
        label = str(label) if type(label) is int else label
        listed = shape.get("points")
        corners = [numbers(pair) for pair in listed] if isinstance(listed, list) else []
        points = [(pair[0], pair[1]) for pair in corners if pair is not None and len(pair) == 2]
        if not isinstance(label, str) or not label.strip() or not points or len(points) < len(corners):
            part.note("shape without label or points", f"{where} has no label, or no points [x, y]", file)
            continue
        name = nfc(label.strip())
        if kind in ("polygon", "circle", "rotation"):
            outline = _circle(points) if kind == "circle" else [value for point in points for value in point]
            group = shape.get("group_id")
            key: tuple[str, int | str] = (name, place if group is None or kind != "polygon" else str(group))
            outlines.setdefault(key, []).append(outline)
            places.setdefault(key, where)
        elif kind in ("rectangle", "line", "linestrip") and len(points) > 1:
            xs, ys = zip(*points, strict=True)
            sides = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
            box = part.box(sides, size, file, f"{where} ({name})")
            objects.append(SourceObject(name=name, box=box) if box else None)
        else:
            part.note("shape of another kind", f"{where} ({name}) is a {kind!r:.40}, which has no area", file)
    for (name, group), polygons in outlines.items():
        objects.append(part.outlined(name, polygons, size, file, places[name, group]))
    return tuple(labelled for labelled in objects if labelled is not None)


def _circle(points: Sequence[tuple[float, float]]) -> list[float]:
    """Corners on a circle of a middle and a point on it."""
    (x, y), (other_x, other_y) = points[0], points[-1]
    radius = math.hypot(other_x - x, other_y - y)
    angles = [2 * math.pi * number / _CIRCLE_CORNERS for number in range(_CIRCLE_CORNERS)]
    return [value for angle in angles for value in (x + radius * math.cos(angle), y + radius * math.sin(angle))]


FORMAT = source_format(title="LabelMe", layout=LAYOUT, recognise=is_labelme, read=read_labelme)
