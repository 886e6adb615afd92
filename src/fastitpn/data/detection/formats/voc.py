"""Reads Pascal VOC: one XML file for each image, with the corners of its boxes, and perhaps a PNG of masks."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from fastitpn.data.detection.formats.voc_masks import read_masks
from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, SourcePart, source_format
from fastitpn.errors import InputError

LAYOUT = (
    "FOLDER/Annotations/a.xml, FOLDER/JPEGImages/a.jpg, perhaps FOLDER/SegmentationObject/a.png, and "
    "FOLDER/ImageSets/Main/train.txt and val.txt; "
    "or XML files beside their images, in FOLDER or in its folders train and valid"
)
_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def is_voc(data: Path) -> bool:
    """Whether a folder has XML files where this format has them."""
    return any(next(folder.glob("*.xml"), None) for folder in (data, data / "Annotations", *_part_folders(data)))


def read_voc(data: Path) -> Source:
    """The images of each part; classes are in alphabetical order.

    Corners count from 1 and belong to the box, as in the original. Objects marked as difficult become crowds, which
    are no targets and at which no detection is wrong; their masks are void in the original, so theirs is their box.

    Raises:
        InputError: There are no XML files.
    """
    source = Source(path=data)
    for name, file in _files(data):
        part = source.part(name)
        image = _image(file, data, part)
        if image is not None:
            part.images.append(image)
    if not source.parts:
        raise InputError("no XML files of Pascal VOC in this folder", where=data, expected=LAYOUT, fix="data=FOLDER")
    images = [image for part in source.parts.values() for image in part.images]
    source.classes = tuple(sorted({labelled.name for image in images for labelled in image.objects}))
    return source


def _files(data: Path) -> Iterator[tuple[str, Path]]:
    """Parts and XML files."""
    annotations = data / "Annotations"
    kinds = ("Main", "Segmentation")
    lists = next((files for kind in kinds if (files := sorted((data / "ImageSets" / kind).glob("*.txt")))), [])
    by_name = {file.stem: file for file in lists}
    if "train" not in by_name and "trainval" in by_name:
        by_name["train"] = by_name["trainval"]
    chosen = [(part, by_name[name]) for name, part in _PARTS.items() if name in by_name]
    for part, file in chosen:
        for line in file.read_text().splitlines():
            if line.strip():
                yield part, annotations / f"{line.split()[0]}.xml"
    if chosen:
        return
    folders = [("", annotations), ("", data)] + [(_PARTS[folder.name], folder) for folder in _part_folders(data)]
    for part, folder in folders:
        yield from ((part, file) for file in sorted(folder.glob("*.xml")))


def _part_folders(data: Path) -> list[Path]:
    return [data / name for name in _PARTS if (data / name).is_dir()]


def _image(file: Path, data: Path, part: SourcePart) -> SourceImage | None:
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"it is not XML: {error}"
        part.note("XML file that cannot be read", reason, file, image=True)
        return None
    path = _path_of(root, file, data)
    size = part.size_of(path)
    if size is None:
        return None
    declared = tuple(_number(root, f"size/{name}") for name in ("height", "width"))
    if all(value > 0 for value in declared) and declared != size:
        what = f"{path.name} is {size[1]}x{size[0]} px, the boxes are for {declared[1]:g}x{declared[0]:g} px"
        part.note("image of another size", what, file, image=True)
        return None
    read = (_object(element, size, f"object {place}", file, part) for place, element in enumerate(root.iter("object")))
    objects = [labelled for labelled in read if labelled is not None]
    masks = data / "SegmentationObject" / f"{file.stem}.png"
    if masks.is_file():
        packed = read_masks(masks, size, [labelled.box for labelled in objects], part)
        if packed is None:
            return None
        objects = [_masked(labelled, mask) for labelled, mask in zip(objects, packed, strict=True)]
    return SourceImage(path=path, labels=file, size=size, objects=tuple(objects))


def _masked(labelled: SourceObject, mask: bytes | None) -> SourceObject:
    if mask is None and labelled.crowd:
        left, top, right, bottom = labelled.box
        return replace(labelled, polygons=((left, top, right, top, right, bottom, left, bottom),))
    return replace(labelled, mask=mask)


def _object(
    element: ElementTree.Element, size: tuple[int, int], where: str, file: Path, part: SourcePart
) -> SourceObject | None:
    name = (element.findtext("name") or "").strip()
    left, top, right, bottom = (_number(element, f"bndbox/{side}") for side in _SIDES)
    if not name or not math.isfinite(left + top + right + bottom):
        what = f"{where} has no {'name' if not name else 'bndbox with ' + ', '.join(_SIDES)}"
        part.note("object without name or box", what, file)
        return None
    box = part.box([left - 1, top - 1, right - left + 1, bottom - top + 1], size, file, f"{where} ({name})")
    return SourceObject(name=name, box=box, crowd=_number(element, "difficult") == 1) if box else None


def _path_of(root: ElementTree.Element, file: Path, data: Path) -> Path:
    """The image, by the name in the XML file or by that of the XML file itself."""
    named = (root.findtext("filename") or "").strip().replace("\\", "/")
    folders = (data / "JPEGImages", file.parent, data / "images", data)
    for folder in folders:
        if named and (folder / named).is_file():
            return folder / named
    for folder in folders:
        same = sorted(folder.glob(f"{file.stem}.*")) if folder.is_dir() else []
        if images := [path for path in same if path.suffix.lower() != ".xml"]:
            return images[0]
    return folders[0] / (named or f"{file.stem}.jpg")


def _number(element: ElementTree.Element, path: str) -> float:
    """Not a number where there is none."""
    try:
        return float(element.findtext(path) or "nan")
    except ValueError:
        return math.nan


FORMAT = source_format(title="Pascal VOC", layout=LAYOUT, recognise=is_voc, read=read_voc)
