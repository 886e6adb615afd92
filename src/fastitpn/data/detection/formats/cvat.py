"""Reads CVAT's XML: "CVAT for images 1.1", one file with the shapes of all images."""

import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, SourcePart, source_format
from fastitpn.data.detection.values import number, numbers, whole
from fastitpn.data.images.named_files import NamedFiles, nfc
from fastitpn.data.parts import part_of
from fastitpn.errors import InputError
from fastitpn.listing import matching

LAYOUT = (
    "FOLDER/annotations.xml as CVAT for images exports it, and FOLDER/images; subsets train, val and test are parts"
)
_EXPECTED = "an XML file of CVAT for images 1.1: annotations with an image each"
_FIX = "export it again, as CVAT for images 1.1"
_OF_THE_IMAGE = ("tag", "attribute")
_ELLIPSE_CORNERS = 64


def is_cvat(data: Path) -> bool:
    """Whether a file is such an export, or a folder has one."""
    return bool(_files(data))


def read_cvat(data: Path, images_folder: Path | None = None) -> Source:
    """The images of each subset; classes are in alphabetical order.

    Raises:
        InputError: A file is no XML, or of CVAT for video.
    """
    source = Source(path=data)
    for file in _files(data):
        root = _root(file)
        images = list(root.iter("image"))
        if not images and root.find("track") is not None:
            raise InputError("this is CVAT for video", where=file, expected=_EXPECTED, fix=_FIX)
        folder = file.parent
        subsets = sorted({subset for image in images if (subset := image.get("subset"))})
        given = [images_folder] if images_folder else []
        folders = [*given, folder, folder / "images", *(folder / "images" / subset for subset in subsets)]
        files = NamedFiles([*folders, *(folder / subset for subset in subsets)], [i.get("name") or "" for i in images])
        for image in images:
            _read(image, file, files, source.part(part_of(image.get("subset") or "") or ""))
        if line := files.line():
            source.part(next(iter(source.parts))).notes.append(line)
    source.name_classes()
    return source


def _files(data: Path) -> list[Path]:
    candidates = [data] if data.is_file() and data.suffix.lower() == ".xml" else matching(data, "*.xml")
    return [file for file in candidates if _is_export(file)]


def _is_export(file: Path) -> bool:
    """VOC's files begin with `annotation`."""
    with file.open("rb") as stream:
        return b"<annotations" in stream.read(4096).replace(b"\0", b"")


def _root(file: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"this is not XML: {error}", where=file, expected=_EXPECTED, fix=_FIX) from error


def _read(image: ElementTree.Element, file: Path, files: NamedFiles, part: SourcePart) -> None:
    name = image.get("name")
    if not name:
        part.note("image without a name", f"image {image.get('id')} has no name", file, image=True)
        return
    path = files.find(name) or file.parent / "images" / name.replace("\\", "/")
    size = part.sized(path, (image.get("height"), image.get("width")), file)
    if size is None:
        return
    since = len(part.problems)
    read = (
        _object(shape, size, file, f"image {image.get('id')}, {shape.tag} {place}", part)
        for place, shape in enumerate(image)
        if shape.tag not in _OF_THE_IMAGE
    )
    objects = tuple(labelled for labelled in read if labelled is not None)
    part.take(SourceImage(path=path, labels=file, size=size, objects=objects), since)


def _object(
    shape: ElementTree.Element, size: tuple[int, int], file: Path, where: str, part: SourcePart
) -> SourceObject | None:
    name = nfc((shape.get("label") or "").strip())
    if not name:
        part.note("shape without a label", f"{where} has no label", file)
        return None
    if shape.tag == "mask":
        mask = _mask(shape.attrib, size)
        if mask is None:
            part.note("mask that cannot be used", f"{where} ({name}) does not fit its image, or is damaged", file)
            return None
        return part.masked(name, mask, size, file, where)
    outline = _outline(shape)
    if outline is None:
        known = shape.tag in ("box", "polygon", "ellipse")
        what = f"{where} ({name}) has no numbers for its sides" if known else f"{where} ({name}) has no area"
        part.note("shape that cannot be used" if known else "shape of another kind", what, file)
        return None
    outlined = part.outlined(name, [outline], size, file, where)
    is_box = shape.tag == "box" and not number(shape.get("rotation"))
    return outlined and SourceObject(name=name, box=outlined.box) if is_box else outlined


def _outline(shape: ElementTree.Element) -> list[float] | None:
    """Corners in pixels; boxes and ellipses are turned around their middle. None where there are no numbers for it."""
    if shape.tag == "polygon":
        values = numbers(shape.get("points") or "")
        return values if values and len(values) % 2 == 0 else None
    names = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry")}.get(shape.tag)
    sides = numbers([shape.get(name) for name in names]) if names else None
    if sides is None:
        return None
    first, second, third, fourth = sides
    if shape.tag == "box":
        x, y = (first + third) / 2, (second + fourth) / 2
        corners = [(first, second), (third, second), (third, fourth), (first, fourth)]
        if not number(shape.get("rotation")):
            return [value for corner in corners for value in corner]
        offsets = [(corner_x - x, corner_y - y) for corner_x, corner_y in corners]
    else:
        x, y = first, second
        angles = np.linspace(0, 2 * math.pi, _ELLIPSE_CORNERS, endpoint=False).tolist()
        offsets = [(third * math.cos(angle), fourth * math.sin(angle)) for angle in angles]
    turn = math.radians(number(shape.get("rotation")) or 0.0)
    cosine, sine = math.cos(turn), math.sin(turn)
    return [value for dx, dy in offsets for value in (x + dx * cosine - dy * sine, y + dx * sine + dy * cosine)]


def _mask(attributes: Mapping[str, str], size: tuple[int, int]) -> np.ndarray | None:
    """The mask [height, width] of runs row by row within a rectangle, from 0 on; None if they do not fit."""
    sides = [whole(attributes.get(name)) for name in ("left", "top", "width", "height")]
    runs = [whole(run) for run in (attributes.get("rle") or "").split(",")]
    left, top, width, height = (-1 if side is None else side for side in sides)
    fits = min(left, top) >= 0 and min(width, height) > 0 and left + width <= size[1] and top + height <= size[0]
    if not fits or any(run is None or run < 0 for run in runs) or sum(run or 0 for run in runs) != width * height:
        return None
    values = np.arange(len(runs)) % 2 == 1
    mask = np.zeros(size, dtype=bool)
    mask[top : top + height, left : left + width] = np.repeat(values, runs).reshape(height, width)  # type: ignore[arg-type]
    return mask


FORMAT = source_format(title="CVAT for images", layout=LAYOUT, recognise=is_cvat, read=read_cvat, takes_images=True)
