"""Reads Pascal VOC: one XML file for each image, with the corners of its boxes, and perhaps a PNG of masks."""

import math
import os
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from fastitpn.console import say
from fastitpn.data.detection.formats.voc_files import ImageFinder, files_by_part, has_voc_files
from fastitpn.data.detection.formats.voc_masks import read_masks
from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, SourcePart, source_format
from fastitpn.data.detection.values import number
from fastitpn.data.images.named_files import nfc
from fastitpn.data.text_files import decode
from fastitpn.errors import InputError

LAYOUT = (
    "FOLDER/Annotations/a.xml, FOLDER/JPEGImages/a.jpg (or annotations and images), perhaps "
    "FOLDER/SegmentationObject/a.png, and FOLDER/ImageSets/Main/train.txt and val.txt; "
    "or XML files beside their images, in FOLDER or in its folders train and valid"
)
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,80}?\sencoding\s*=\s*["']([\w.:-]+)["']""")
_AXIS = re.compile(r"([xy])\d*")
_ENTITY = re.compile(r"<!ENTITY")
_CROWD = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
_CROWD |= {"unspecified": False}


def is_voc(data: Path) -> bool:
    """Whether a folder has XML files of this format."""
    return data.is_dir() and has_voc_files(data)


def read_voc(data: Path) -> Source:
    """The images of each part; classes are in alphabetical order.

    Corners count from 1 and belong to the box, as in the original. Objects marked as difficult become crowds, which
    are no targets and at which no detection is wrong; their masks are void in the original, so theirs is their box.

    Raises:
        InputError: There are no XML files.
    """
    source = Source(path=data)
    files = files_by_part(data)
    if not any(files.values()):
        raise InputError("no XML files of Pascal VOC in this folder", where=data, expected=LAYOUT, fix="data=FOLDER")
    finder = ImageFinder(data=data, stems=frozenset(file.stem for listed in files.values() for file in listed))
    for name, listed in files.items():
        for file in listed:
            _read(file, finder, source.part(name))
    images = [image for part in source.parts.values() for image in part.images]
    source.classes = tuple(sorted({labelled.name for image in images for labelled in image.objects}))
    for line in finder.lines():
        say(line)
    if "train" not in files and (without := finder.images_without_files()):
        say(f"{without} {'image has' if without == 1 else 'images have'} no XML file: not used")
    return source


def _read(file: Path, finder: ImageFinder, part: SourcePart) -> None:
    root = _root(file, part)
    if root is None:
        return
    path = finder.find(file, (root.findtext("filename") or "").strip())
    size = part.size_of(path)
    if size is None:
        return
    declared = tuple(_number(root, f"size/{name}") for name in ("height", "width"))
    if all(value > 0 for value in declared) and declared != size:
        part.note("image of another size", _other_size(path, size, declared), file, image=True)
        return
    before = len(part.problems)
    read = (_object(element, size, f"object {place}", file, part) for place, element in enumerate(root.iter("object")))
    objects = [labelled for labelled in read if labelled is not None]
    places = (folder / "SegmentationObject" / f"{file.stem}.png" for folder in (finder.data, file.parent.parent))
    if masks := next(filter(os.path.isfile, places), None):
        packed = read_masks(masks, size, [labelled.box for labelled in objects], part)
        if packed is None:
            return
        objects = [_masked(labelled, mask) for labelled, mask in zip(objects, packed, strict=True)]
    part.take(SourceImage(path=path, labels=file, size=size, objects=tuple(objects)), before)


def _root(file: Path, part: SourcePart) -> ElementTree.Element | None:
    """The annotation of an XML file; None, and noted, if it has none."""
    kind = "XML file that cannot be read"
    try:
        content = file.read_bytes()
        declared = _DECLARED.match(content.removeprefix(b"\xef\xbb\xbf"))
        text, _ = decode(content, declared[1].decode("ascii") if declared else None)
        if _ENTITY.search(text):  # which may stand for other files, or for more text than fits in memory
            part.note(kind, "it declares entities (<!ENTITY), which are not read", file, image=True)
            return None
        root = ElementTree.fromstring(text)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"it is not XML: {error}"
        part.note(
            kind, "it is no text of a known encoding" if isinstance(error, ValueError) else reason, file, image=True
        )
        return None
    if root.tag != "annotation":
        part.note(kind, f"its root is <{root.tag:.40}>, not <annotation>: it is of another tool", file, image=True)
        return None
    return root


def _other_size(path: Path, size: tuple[int, int], declared: tuple[float, ...]) -> str:
    what = f"{path.name} is {size[1]}x{size[0]} px, the boxes are for {declared[1]:g}x{declared[0]:g} px"
    if declared != size[::-1]:
        return what
    with Image.open(path) as image:
        turned = image.size != size[::-1]
    more = " (it is turned upright, as its EXIF block asks; the boxes seem to be for it as it lies in the file)"
    return what + (more if turned else " (width and height seem to be swapped)")


def _masked(labelled: SourceObject, mask: bytes | None) -> SourceObject:
    if mask is None and labelled.crowd:
        left, top, right, bottom = labelled.box
        return replace(labelled, polygons=((left, top, right, top, right, bottom, left, bottom),))
    return replace(labelled, mask=mask)


def _object(
    element: ElementTree.Element, size: tuple[int, int], where: str, file: Path, part: SourcePart
) -> SourceObject | None:
    name = nfc((element.findtext("name") or "").strip())
    left, top, right, bottom = _corners(element)
    if not name or not math.isfinite(left + top + right + bottom):
        what = f"{where} has no {'name' if not name else 'bndbox with ' + ', '.join(_SIDES)}"
        part.note("object without name or box", what, file)
        return None
    if left > right or top > bottom:
        axis, low, high = ("x", left, right) if left > right else ("y", top, bottom)
        what = f"{where} ({name}): {axis}min is {low:g} and {axis}max {high:g}: they are swapped"
        part.note("box of no size", what, file)
        return None
    difficult = (element.findtext("difficult") or "").strip().lower()
    if difficult not in _CROWD:
        part.note("object that cannot be used", f"{where} ({name}): difficult is {difficult!r:.40}, not 0 or 1", file)
        return None
    box = part.box([left - 1, top - 1, right - left + 1, bottom - top + 1], size, file, f"{where} ({name})")
    turned = _turned(element, size)
    return SourceObject(name=name, box=box, polygons=turned, crowd=_CROWD[difficult]) if box else None


def _corners(element: ElementTree.Element) -> tuple[float, float, float, float]:
    """The sides of an object's box, from its outline or its turned box where it has no other; else not numbers."""
    if element.find("bndbox") is not None:
        left, top, right, bottom = (_number(element, f"bndbox/{side}") for side in _SIDES)
        return left, top, right, bottom
    if element.find("robndbox") is not None:  # of roLabelImg
        corners = _turned_corners(element)
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return min(xs) + 1, min(ys) + 1, max(xs), max(ys)
    points = [
        (match[1], point.text) for point in element.iterfind("polygon//*") if (match := _AXIS.fullmatch(point.tag))
    ]
    xs, ys = ([_as_number(text) for axis, text in points if axis == wanted] for wanted in "xy")
    if min(len(xs), len(ys)) < 3 or not all(map(math.isfinite, xs + ys)):
        return math.nan, math.nan, math.nan, math.nan
    return min(xs), min(ys), max(xs), max(ys)


def _turned(element: ElementTree.Element, size: tuple[int, int]) -> tuple[tuple[float, ...], ...]:
    """The outline of a turned box, within the image; none of an object that has an upright one."""
    if element.find("bndbox") is not None or element.find("robndbox") is None:
        return ()
    return (tuple(np.clip(_turned_corners(element), 0, size[::-1]).ravel().tolist()),)


def _turned_corners(element: ElementTree.Element) -> list[tuple[float, float]]:
    x, y, width, height, angle = (_number(element, f"robndbox/{key}") for key in ("cx", "cy", "w", "h", "angle"))
    cosine, sine = (math.cos(angle), math.sin(angle)) if math.isfinite(angle) else (math.nan, math.nan)
    offsets = [(across * width / 2, down * height / 2) for across, down in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return [(x + dx * cosine - dy * sine, y + dx * sine + dy * cosine) for dx, dy in offsets]


def _number(element: ElementTree.Element, path: str) -> float:
    return _as_number(element.findtext(path))


def _as_number(text: str | None) -> float:
    """Not a number where there is none."""
    value = number((text or "").strip())
    return math.nan if value is None else value


FORMAT = source_format(title="Pascal VOC", layout=LAYOUT, recognise=is_voc, read=read_voc)
