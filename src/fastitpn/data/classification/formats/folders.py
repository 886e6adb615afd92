"""A folder for each class."""

import os
from pathlib import Path

from fastitpn.data.classification.formats.base import ClassFormat, Oddity, listed_names
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.folders import VAL_NAMES, check_folder, has_images, list_files, list_images
from fastitpn.errors import InputError

LAYOUT = "one sub-folder per class with its images: FOLDER/cat/1.jpg, FOLDER/dog/2.jpg"


def _recognise(data: Path) -> bool:
    """Whether there are several folders with images, and none beside them."""
    return data.is_dir() and sum(map(has_images, _folders(data))) > 1 and not _loose_images(data)


def _read(folder: Path) -> dict[str, list[Path]]:
    folder = check_folder(folder)
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if "train" in names and any(name in VAL_NAMES for name in names):
        raise InputError(
            f"this folder holds parts of a data set ({listed_names(names)}), not classes",
            where=folder,
            expected=LAYOUT,
            fix=f"give one part: {folder / next(name for name in VAL_NAMES if name in names)}",
        )
    by_class = {name: list_files(folder / name, EXTENSIONS) for name in names}
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
            images += [(path, of_class.name) for path in list_images(of_class)]
        except InputError as error:
            oddities.append(Oddity(kind="class folder without images", what=error.what, files=(of_class,)))
    if stray := _loose_images(folder):
        what = f"{len(stray)} images beside the folders of the classes are of no class"
        oddities.append(Oddity(kind="images without a class", what=what, files=tuple(stray)))
    if not images:
        list_images(folder)  # says so if there are no images at all
    return images, oddities


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _loose_images(folder: Path) -> list[Path]:
    """Images in a folder itself."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file())
    return sorted(path for path in files if not path.name.startswith("."))


FORMAT = ClassFormat(title="class folders", layout=LAYOUT, recognise=_recognise, read=_read, check=_check)
