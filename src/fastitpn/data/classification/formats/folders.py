"""A folder for each class."""

from pathlib import Path

from fastitpn.data.classification.formats.base import ClassFormat, Oddity, listed_names
from fastitpn.data.debris import is_left_out
from fastitpn.data.images.folders import check_folder, has_images, list_files, list_images
from fastitpn.data.images.kinds import EXTENSIONS
from fastitpn.data.images.named_files import nfc
from fastitpn.data.parts import data_parts
from fastitpn.errors import InputError
from fastitpn.listing import children, subfolders

LAYOUT = "one sub-folder per class with its images: FOLDER/cat/1.jpg, FOLDER/dog/2.jpg"


_OF_IMAGES, _OF_LABELS = "images", frozenset({"masks", "annotations", "labels"})
"""Names of folders that segmentation and detection have."""


def _recognise(data: Path) -> bool:
    """Whether there are several folders with images, and none beside them."""
    return data.is_dir() and sum(map(has_images, _folders(data))) > 1 and not _loose_images(data)


def _read(folder: Path) -> dict[str, list[Path]]:
    folder = check_folder(folder)
    if parts := data_parts(folder):
        raise InputError(
            f"this folder holds parts of a data set ({listed_names([path.name for path in parts.values()])}), not "
            "classes",
            where=folder,
            expected=LAYOUT,
            fix=f"give one part: {parts.get('val') or next(iter(parts.values()))}",
        )
    by_class: dict[str, list[Path]] = {}
    for of_class in _folders(folder):
        by_class.setdefault(nfc(of_class.name), []).extend(list_files(of_class, EXTENSIONS))
    if _OF_IMAGES in by_class and (labels := sorted(_OF_LABELS.intersection(by_class))):
        raise InputError(
            f"the folders {_OF_IMAGES} and {labels[0]} hold images and their labels, not classes",
            where=folder,
            expected=LAYOUT,
            fix="other names for these folders, if they are classes",
        )
    if not any(by_class.values()):
        list_images(folder)  # Says so if there are no images at all.
        raise InputError(
            "no class sub-folders in this folder, only images",
            where=folder,
            expected=LAYOUT,
            fix="sort the images into one folder per class, or give a CSV table with the columns image,label",
        )
    return by_class


def _check(folder: Path) -> tuple[list[tuple[Path, str]], list[Oddity]]:
    images: list[tuple[Path, str]] = []
    oddities: list[Oddity] = []
    for of_class in _folders(folder):
        try:
            images += [(path, nfc(of_class.name)) for path in list_images(of_class)]
        except InputError as error:
            oddities.append(Oddity(kind="class folder without images", what=error.what, files=(of_class,)))
    if stray := _loose_images(folder):
        what = f"{len(stray)} images beside the folders of the classes are of no class"
        oddities.append(Oddity(kind="images without a class", what=what, files=tuple(stray)))
    if not images:
        list_images(folder)  # says so if there are no images at all
    return images, oddities


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in subfolders(folder) if not is_left_out(path.name))


def _loose_images(folder: Path) -> list[Path]:
    """Images in a folder itself."""
    files = (path for path in children(folder) if path.suffix.lower() in EXTENSIONS and path.is_file())
    return sorted(path for path in files if not is_left_out(path.name))


FORMAT = ClassFormat(title="class folders", layout=LAYOUT, recognise=_recognise, read=_read, check=_check)
