"""Where the images of a YOLO data set and their text files are."""

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from fastitpn.console import say
from fastitpn.data.detection.formats.yolo_settings import Settings
from fastitpn.data.detection.sources import Source
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.folders import has_images, list_images
from fastitpn.data.images.named_files import NamedFiles
from fastitpn.data.parts import by_part, part_folders
from fastitpn.data.text_files import read_text
from fastitpn.errors import InputError
from fastitpn.listing import children, matching

_OF_ANOTHER_MACHINE = re.compile(r"/|\.\./|[A-Za-z]:/")


def images_by_part(settings: Settings, source: Source) -> dict[str, list[Path]]:
    """The images of each part, or of all the data under ""; images that are named but missing are noted.

    The file of settings decides, then lists as train.txt, then folders that are named after a part.

    Raises:
        InputError: A path of the settings is not there, or there are no images.
    """
    folder = settings.folder
    images = {name: _named(name, texts, settings, source) for name, texts in settings.parts.items()}
    if not images:
        images = {
            name: _listed(file, folder, name, source) for name, file in by_part(_lists(folder), where=folder).items()
        }
    for name, path in {**part_folders(folder), **part_folders(folder / "images")}.items():
        if name in images:
            continue
        if has_images(path):
            images[name] = list_images(path)
        else:
            say(f"{path} has no images: there is no part {name}")
    _say_unlisted([path for paths in images.values() for path in paths])
    images = {name: paths for name, paths in images.items() if paths or source.part(name).problems}
    return images or {"": list_images(folder / "images" if (folder / "images").is_dir() else folder)}


def labels_of(image: Path) -> Path:
    """The text file of an image: `labels` stands for the last folder `images` of its path, else it lies beside it."""
    beside = image.with_suffix(".txt")
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == "images":
            above, inside = Path(*parts[:place]), Path(*parts[place + 1 :]).with_suffix(".txt")
            places = (above / "labels" / inside, above / "Labels" / inside, beside)
            return next(filter(os.path.isfile, places), places[0])
    return beside


def is_list(file: Path) -> bool:
    """Whether a text file lists images; one of boxes, or of an image, does not."""
    if any(file.with_suffix(suffix).is_file() for suffix in EXTENSIONS):
        return False
    try:
        first = read_text(file).split("\n", 1)[0].strip()
    except InputError:
        return False
    return Path(first).suffix.lower() in EXTENSIONS


def _lists(folder: Path) -> list[Path]:
    return [file for file in matching(folder, "*.txt") if is_list(file)]


def _named(part: str, texts: Sequence[str], settings: Settings, source: Source) -> list[Path]:
    """Images of a part as the settings have it: folders, or lists of images."""
    assert settings.file is not None
    name, images = settings.file.name, []
    for text in texts:
        place = _place(text, settings)
        if place is None and part == "test":
            say(f"{name} names {text} for test, which is not there: there is no part test")
        elif place is None:
            raise InputError(
                f"{name} names {text} for {part}, which is not there",
                where=settings.file,
                expected=f"a folder or a list of images, from {settings.folder / settings.root} on",
                fix=f"correct {part}: in this file, or put the images there",
            )
        elif place.is_file():
            images += _listed(place, settings.folder, part, source)
        elif has_images(place):
            images += list_images(place)
        elif part == "train":
            raise InputError(
                f"{name} names {text} for train, and no images are in it",
                where=place,
                expected="images to train on",
                fix=f"correct train: in {settings.file}, or put the images there",
            )
        else:
            say(f"{text}, which {name} names for {part}, has no images: there is no part {part}")
    return images


def _place(text: str, settings: Settings) -> Path | None:
    """The folder or list that a file of settings names; `path` and what begins with `../` may be of another machine."""
    folder, posix = settings.folder, text.strip().replace("\\", "/")
    roots = dict.fromkeys((folder / settings.root.replace("\\", "/"), folder))
    for root in roots:
        if _exists(root / posix):
            if root == folder and settings.root and len(roots) > 1:
                say(f"path: {settings.root} is not there or has no {text}, which is read from beside the file")
            return root / posix
    parts = [part for part in PurePosixPath(posix).parts if part not in ("/", "..", ".")]
    starts = range(len(parts)) if _OF_ANOTHER_MACHINE.match(posix) else range(1, 1 + _is_own(parts[:1], folder))
    for start in starts:
        place = folder.joinpath(*parts[start:])
        if place != folder and _exists(place):
            say(f"{text} is taken as {place.relative_to(folder)}, from {folder} on")
            return place
    return None


def _is_own(first: Sequence[str], folder: Path) -> bool:
    """Whether a path begins at the data's own folder, which darknet calls data."""
    return list(first) in (["data"], [folder.resolve().name])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for any file
        return False


def _listed(file: Path, folder: Path, part: str, source: Source) -> list[Path]:
    """The images of a list; those that are missing are noted."""
    names = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    files = NamedFiles([file.parent, folder], names)
    images = []
    missing = {}
    for number, name in enumerate(names, start=1):
        parts = PurePosixPath(name.replace("\\", "/")).parts
        path = files.find(name) or (files.find("/".join(parts[1:])) if _is_own(parts[:1], folder) else None)
        if path is None:
            missing[name] = number
        else:
            images.append(path)
    if missing and not images:
        raise InputError(
            f"none of the {len(names)} images of this list is there, the first would be {names[0]}",
            where=file,
            expected=f"paths of images, from {folder} on",
            fix="correct the paths, or put the images there",
        )
    for name, number in missing.items():
        what = f"it is not there, but line {number} of {file.name} names it"
        source.part(part).note("missing image file", what, folder / name, image=True)
    if line := files.line():
        say(line)
    return images


def _say_unlisted(images: Collection[Path]) -> None:
    """Tells of images that lie beside those of the lists, and are in none of them."""
    there = sum(len(_images_of(folder)) for folder in {path.parent for path in images})
    if beside := there - len(set(images)):
        say(f"{beside} {'image is' if beside == 1 else 'images are'} beside those of the lists and in none: not used")


def _images_of(folder: Path) -> list[Path]:
    return [path for path in children(folder) if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")]
