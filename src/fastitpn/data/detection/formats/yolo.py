"""Reads YOLO's text files: one for each image, with a line for each thing in shares of the width and height."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from fastitpn.data.detection.sources import Source, SourceImage, Thing
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
    """Whether a folder has what this format has."""
    return _yaml_file(data) is not None or any((data / name).exists() for name in (*_NAMES_FILES, "labels"))


def read_yolo(data: Path) -> Source:
    """The images of each part. Lines are `class x y width height`, of the box's middle, or `class x0 y0 x1 y1 ...`.

    An image without a text file, or with an empty one, has nothing in it.

    Raises:
        InputError: The names of the classes or the images are not found.
    """
    file = _yaml_file(data)
    content = _read_yaml(file) if file else {}
    source = Source(names=_names(content, file, data))
    for part, aliases in _PARTS.items():
        images = _listed(content.get(part, content.get("valid") if part == "val" else None), content, data)
        if not images:
            folders = [folder for name in aliases for folder in (data / "images" / name, data / name)]
            images = next((list_images(folder) for folder in folders if folder.is_dir()), [])
        if images:
            source.parts[part] = _read(images, source)
    if not source.parts:
        images = list_images(data / "images" if (data / "images").is_dir() else data)
        source.parts[""] = _read(images, source)
    _note_orphans(source)
    return source


def has_text_files(data: Path) -> bool:
    """Whether a text file of this format is below a folder: in one that is called labels, or beside its image."""
    return any(
        "labels" in file.relative_to(data).parts[:-1] or any(file.with_suffix(end).is_file() for end in EXTENSIONS)
        for file in data.rglob("*.txt")
    )


def _note_orphans(source: Source) -> None:
    """Notes text files whose images are missing."""
    folders: dict[Path, set[Path]] = {}
    for image in (image for images in source.parts.values() for image in images):
        folders.setdefault(_labels_of(image.path).parent, set()).add(image.path.parent)
    for labels, of_images in folders.items():
        stems = {path.stem for folder in of_images for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS}
        for file in sorted(labels.glob("*.txt")):
            if file.stem not in stems and _has_lines(file):
                source.note("text file without its image", f"there is no image {file.stem}", file, image=True)


def _has_lines(file: Path) -> bool:
    """Whether a text file begins as one of boxes; lists and read-mes do not."""
    try:
        words = file.read_text().split(maxsplit=5)[:5]
        return len([float(word) for word in words]) == 5
    except (OSError, ValueError):
        return False


def _read(images: Sequence[Path], source: Source) -> list[SourceImage]:
    labels = [_labels_of(image) for image in images]
    if not any(file.is_file() for file in labels):
        raise InputError(
            f"none of {len(images)} images has a text file: {images[0].name} should have {labels[0]}",
            where=images[0].parent,
            expected=LAYOUT,
            fix="put the text files there",
        )
    read = (_image(image, file, source) for image, file in zip(images, labels, strict=True))
    return [image for image in read if image is not None]


def _image(image: Path, file: Path, source: Source) -> SourceImage | None:
    size = source.size_of(image)
    if size is None:
        return None
    things = []
    try:
        lines = file.read_text().splitlines() if file.is_file() else []
    except (OSError, UnicodeDecodeError):
        source.note("text file that cannot be read", "it is not a text file", file, image=True)
        return None
    for number, line in enumerate(lines, start=1):
        if line.strip() and (thing := _thing(line.split(), size, f"line {number}", file, source)):
            things.append(thing)
    return SourceImage(path=image, size=size, things=tuple(things))


def _thing(words: Sequence[str], size: tuple[int, int], where: str, file: Path, source: Source) -> Thing | None:
    try:
        label, *values = (float(word) for word in words)
    except ValueError:
        label, values = math.nan, []
    outline = len(values) >= 6 and len(values) % 2 == 0
    if not (len(values) == 4 or outline) or not label.is_integer() or not all(map(math.isfinite, values)):
        what = (
            f"{where}: {' '.join(words)[:60]!r} is neither `class x y width height` nor `class x0 y0 x1 y1 x2 y2 ...`"
        )
        source.note("line of another form", what, file)
        return None
    if not 0 <= label < len(source.names):
        source.note("unknown class", f"{where}: class {label:g}, but there are {len(source.names)} names", file)
        return None
    height, width = size
    name = source.names[int(label)]
    if not outline:
        x, y, box_width, box_height = values
        found = [(x - box_width / 2) * width, (y - box_height / 2) * height, box_width * width, box_height * height]
        box = source.box(found, size, file, where)
        return Thing(name=name, box=box) if box else None
    xs, ys = ([value * side for value in values[start::2]] for start, side in ((0, width), (1, height)))
    box = source.box([min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)], size, file, where)
    inside = [
        min(max(value, 0.0), float(side))
        for pair in zip(xs, ys, strict=True)
        for value, side in zip(pair, (width, height), strict=True)
    ]
    return Thing(name=name, box=box, polygons=(tuple(inside),)) if box else None


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
    found: list[Path] = []
    for value in map(str, values):
        # exported sets are often moved: `path` is then of another machine, and "../train" means "train"
        places = [root / value, data / value, data / value.replace("../", "").lstrip("/")]
        place = next((place for place in places if place.exists()), None)
        if place is None:
            continue  # the usual folders are tried then
        found += read_list(place) if place.is_file() else list_images(place)
    return found


def _yaml_file(data: Path) -> Path | None:
    found = [data / "data.yaml", *sorted(data.glob("*.yaml")), *sorted(data.glob("*.yml"))]
    return next((file for file in found if file.is_file() and "names" in file.read_text(errors="replace")), None)


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
