"""Reads YOLO's text files: one for each image, with a line for each object in shares of the width and height."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, SourcePart, source_format
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.folders import list_images
from fastitpn.data.images.lists import read_list
from fastitpn.errors import InputError

LAYOUT = (
    "FOLDER/data.yaml with names (and train and val), FOLDER/images/train/a.jpg and FOLDER/labels/train/a.txt, or "
    "FOLDER/train/images/a.jpg and FOLDER/train/labels/a.txt; FOLDER/classes.txt may stand for data.yaml"
)
_PARTS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_NAMES_FILES = ("classes.txt", "obj.names")
_EXPECTED = "names: a list, or number: name"


def is_yolo(data: Path) -> bool:
    """Whether a folder has what this format has, text files included."""
    return _resembles_yolo(data) and _has_text_files(data)


def _resembles_yolo(data: Path) -> bool:
    """Whether a folder has names of classes, or a folder of labels."""
    return _yaml_file(data) is not None or any((data / name).exists() for name in (*_NAMES_FILES, "labels"))


def read_yolo(data: Path) -> Source:
    """The images of each part. Lines are `class x y width height`, of the box's middle, or `class x0 y0 x1 y1 ...`.

    An image without a text file, or with an empty one, has nothing in it.

    Raises:
        InputError: The names of the classes or the images are not found.
    """
    file = _yaml_file(data)
    content = _read_yaml(file) if file else {}
    source = Source(path=data, classes=_names(content, file, data))
    for name, aliases in _PARTS.items():
        images = _listed(content.get(name, content.get("valid") if name == "val" else None), content, data)
        if not images:
            folders = [folder for alias in aliases for folder in (data / "images" / alias, data / alias)]
            images = next((list_images(folder) for folder in folders if folder.is_dir()), [])
        if images:
            _read(images, source.classes, source.part(name))
    if not source.parts:
        images = list_images(data / "images" if (data / "images").is_dir() else data)
        _read(images, source.classes, source.part(""))
    _note_orphans(source)
    return source


def _has_text_files(data: Path) -> bool:
    """Whether a text file of this format is below a folder: in one that is called labels, or beside its image."""
    return any(
        "labels" in file.relative_to(data).parts[:-1] or any(file.with_suffix(end).is_file() for end in EXTENSIONS)
        for file in data.rglob("*.txt")
    )


def _note_orphans(source: Source) -> None:
    """Notes text files whose images are missing."""
    folders: dict[Path, set[Path]] = {}
    first: dict[Path, SourcePart] = {}
    for part in source.parts.values():
        for image in part.images:
            folders.setdefault(image.labels.parent, set()).add(image.path.parent)
            first.setdefault(image.labels.parent, part)
    for labels, of_images in folders.items():
        stems = {path.stem for folder in of_images for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS}
        for file in sorted(labels.glob("*.txt")):
            if file.stem not in stems and _has_lines(file):
                first[labels].note("text file without its image", f"there is no image {file.stem}", file, image=True)


def _has_lines(file: Path) -> bool:
    """Whether a text file begins as one of boxes; lists and read-mes do not."""
    try:
        words = file.read_text().split(maxsplit=5)[:5]
        return len([float(word) for word in words]) == 5
    except (OSError, ValueError):
        return False


def _read(images: Sequence[Path], classes: Sequence[str], part: SourcePart) -> None:
    labels = [_labels_of(image) for image in images]
    if not any(file.is_file() for file in labels):
        raise InputError(
            f"none of {len(images)} images has a text file: {images[0].name} should have {labels[0]}",
            where=images[0].parent,
            expected=LAYOUT,
            fix="put the text files there",
        )
    read = (_image(image, file, classes, part) for image, file in zip(images, labels, strict=True))
    part.images += [image for image in read if image is not None]


def _image(image: Path, file: Path, classes: Sequence[str], part: SourcePart) -> SourceImage | None:
    size = part.size_of(image)
    if size is None:
        return None
    objects = []
    try:
        lines = file.read_text().splitlines() if file.is_file() else []
    except (OSError, UnicodeDecodeError):
        part.note("text file that cannot be read", "it is not a text file", file, image=True)
        return None
    for number, line in enumerate(lines, start=1):
        if line.strip() and (labelled := _object(line.split(), size, f"line {number}", file, classes, part)):
            objects.append(labelled)
    return SourceImage(path=image, labels=file, size=size, objects=tuple(objects))


def _object(
    words: Sequence[str], size: tuple[int, int], where: str, file: Path, classes: Sequence[str], part: SourcePart
) -> SourceObject | None:
    try:
        label, *values = (float(word) for word in words)
    except ValueError:
        label, values = math.nan, []
    outline = len(values) >= 6 and len(values) % 2 == 0
    if not (len(values) == 4 or outline) or not label.is_integer() or not all(map(math.isfinite, values)):
        what = (
            f"{where}: {' '.join(words)[:60]!r} is neither `class x y width height` nor `class x0 y0 x1 y1 x2 y2 ...`"
        )
        part.note("line of another form", what, file)
        return None
    if not 0 <= label < len(classes):
        part.note("unknown class", f"{where}: class {label:g}, but there are {len(classes)} names", file)
        return None
    height, width = size
    name = classes[int(label)]
    if not outline:
        x, y, box_width, box_height = values
        sides = [(x - box_width / 2) * width, (y - box_height / 2) * height, box_width * width, box_height * height]
        box = part.box(sides, size, file, where)
        return SourceObject(name=name, box=box) if box else None
    xs, ys = ([value * side for value in values[start::2]] for start, side in ((0, width), (1, height)))
    box = part.box([min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)], size, file, where)
    inside = [
        min(max(value, 0.0), float(side))
        for pair in zip(xs, ys, strict=True)
        for value, side in zip(pair, (width, height), strict=True)
    ]
    return SourceObject(name=name, box=box, polygons=(tuple(inside),)) if box else None


def _labels_of(image: Path) -> Path:
    """The text file of an image: `labels` stands for the last folder `images` of its path, else it lies beside it."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            return Path(*parts).with_suffix(".txt")
    return image.with_suffix(".txt")


def _listed(given: Any, content: dict[str, Any], data: Path) -> list[Path]:
    """Images of a part as data.yaml has it: a folder, a list of images, or several of these."""
    values = given if isinstance(given, list) else [given] if given else []
    root = data / str(content.get("path") or ".")
    images: list[Path] = []
    for value in map(str, values):
        # exported sets are often moved: `path` is then of another machine, and "../train" means "train"
        places = [root / value, data / value, data / value.replace("../", "").lstrip("/")]
        place = next((place for place in places if place.exists()), None)
        if place is None:
            continue  # the usual folders are tried then
        images += read_list(place) if place.is_file() else list_images(place)
    return images


def _yaml_file(data: Path) -> Path | None:
    files = [data / "data.yaml", *sorted(data.glob("*.yaml")), *sorted(data.glob("*.yml"))]
    return next((file for file in files if file.is_file() and "names" in file.read_text(errors="replace")), None)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("cannot read this YAML file", where=file, expected=_EXPECTED, fix="correct it") from error
    return content if isinstance(content, dict) else {}


def _names(content: dict[str, Any], file: Path | None, data: Path) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if file is None:
        file = next((data / name for name in _NAMES_FILES if (data / name).is_file()), None)
        names = [line.strip() for line in file.read_text().splitlines() if line.strip()] if file else None
    if file is None:
        raise InputError("the names of the classes are nowhere", where=data, expected=LAYOUT, fix="write classes.txt")
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise InputError(
            "the names of the classes are wrong", where=file, expected=f"{_EXPECTED}, none twice", fix="correct them"
        )
    return tuple(map(str, names))


FORMAT = source_format(title="YOLO", layout=LAYOUT, recognise=is_yolo, resembles=_resembles_yolo, read=read_yolo)
