"""Reads YOLO's text files: one for each image, with a line for each object in shares of the width and height."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from fastitpn.data.detection.formats.yolo_layout import images_by_part, labels_of
from fastitpn.data.detection.formats.yolo_lines import Line, LineForm, form_of, read_lines, read_object
from fastitpn.data.detection.formats.yolo_names import NAMES_FILES, read_names
from fastitpn.data.detection.formats.yolo_settings import YAML_SUFFIXES, find_settings, read_settings
from fastitpn.data.detection.sources import Source, SourceImage, SourcePart, source_format
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.text_files import read_text
from fastitpn.errors import InputError
from fastitpn.listing import children, matching

LAYOUT = (
    "FOLDER/data.yaml with names (and train and val), FOLDER/images/train/a.jpg and FOLDER/labels/train/a.txt, or "
    "FOLDER/train/images/a.jpg and FOLDER/train/labels/a.txt; FOLDER/classes.txt may stand for data.yaml, and "
    "FOLDER/train.txt and valid.txt, lists of images, for the folders"
)


def is_yolo(data: Path) -> bool:
    """Whether a folder, or that of a file of settings, has what this format has, text files included."""
    if data.is_file():
        return data.suffix.lower() in (*YAML_SUFFIXES, ".data")
    return _resembles_yolo(data) and _has_text_files(data)


def read_yolo(data: Path) -> Source:
    """The images of each part. Lines are `class x y width height`, of the box's middle, or `class x0 y0 x1 y1 ...`.

    An image without a text file, or with an empty one, has nothing in it.

    Args:
        data: A folder, or its data.yaml or obj.data.

    Raises:
        InputError: The names of the classes or the images are not found.
    """
    settings = read_settings(data)
    source = Source(path=settings.folder)
    names = read_names(settings, expected=LAYOUT)
    source.classes = tuple(names.values())
    images = images_by_part(settings, source)
    lines = {name: _lines(paths, source.part(name)) for name, paths in images.items()}
    form = form_of(chain.from_iterable(chain.from_iterable(lines[name].values()) for name in lines), settings.keypoints)
    for name in images:
        _read(lines[name], form, names, source.part(name))
    _note_orphans(source)
    return source


def _resembles_yolo(data: Path) -> bool:
    """Whether a folder has names of classes, or a folder of labels."""
    if data.is_file():
        return is_yolo(data)
    return find_settings(data) is not None or any((data / name).exists() for name in (*NAMES_FILES, "labels"))


def _has_text_files(data: Path) -> bool:
    """Whether a text file of this format is below a folder: in one that is called labels, or beside its image."""
    return any(
        "labels" in map(str.lower, file.relative_to(data).parts[:-1])
        or any(file.with_suffix(end).is_file() for end in EXTENSIONS)
        for file in matching(data, "**/*.txt")
    )


def _lines(images: Sequence[Path], part: SourcePart) -> dict[Path, list[Line]]:
    """The lines of each image whose text file can be read, or which has none."""
    files = {image: labels_of(image) for image in images}
    if images and not any(file.is_file() for file in files.values()):
        raise InputError(
            f"none of {len(images)} images has a text file: {images[0].name} should have {files[images[0]]}",
            where=images[0].parent,
            expected=LAYOUT,
            fix="put the text files there",
        )
    lines = {}
    for image, file in files.items():
        try:
            lines[image] = read_lines(read_text(file)) if file.is_file() else []
        except InputError as error:
            part.note("text file that cannot be read", error.what, file, image=True)
    return lines


def _read(lines: dict[Path, list[Line]], form: LineForm, names: dict[int, str], part: SourcePart) -> None:
    for image, of_image in lines.items():
        size = part.size_of(image)
        if size is None:
            continue
        file, before = labels_of(image), len(part.problems)
        read = (read_object(line, form, names, size, file, part) for line in of_image)
        objects = tuple(labelled for labelled in read if labelled is not None)
        part.take(SourceImage(path=image, labels=file, size=size, objects=objects), before)


def _note_orphans(source: Source) -> None:
    """Notes text files whose images are missing."""
    folders: dict[Path, set[Path]] = {}
    first: dict[Path, SourcePart] = {}
    for part in source.parts.values():
        for image in part.images:
            folders.setdefault(image.labels.parent, set()).add(image.path.parent)
            first.setdefault(image.labels.parent, part)
    for labels, of_images in folders.items():
        stems = {path.stem for folder in of_images for path in children(folder) if path.suffix.lower() in EXTENSIONS}
        for file in matching(labels, "*.txt"):
            if file.stem not in stems and _has_lines(file):
                first[labels].note("text file without its image", f"there is no image {file.stem}", file, image=True)


def _has_lines(file: Path) -> bool:
    """Whether a text file begins as one of boxes; lists and read-mes do not."""
    try:
        lines = read_lines(read_text(file))
    except InputError:
        return False
    return bool(lines) and lines[0].label.is_integer() and len(lines[0].values) >= 4


FORMAT = source_format(title="YOLO", layout=LAYOUT, recognise=is_yolo, resembles=_resembles_yolo, read=read_yolo)
