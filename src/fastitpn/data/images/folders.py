"""Finds images and their labels in folders, lists and tables, and splits them into training and validation images."""

import os
import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.lists import read_list, read_table
from fastitpn.errors import InputError

_VAL_NAMES = ("val", "valid", "validation")
_MOST_LISTED = 10


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Images with one class each."""

    paths: list[Path]
    labels: list[int]
    """Index into `classes`, per image."""
    classes: list[str]
    """Class names in alphabetical order, or in the order that was asked for."""

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, indices: Sequence[int]) -> "LabelledImages":
        """The images at these positions, with the same classes."""
        return LabelledImages(
            paths=[self.paths[i] for i in indices], labels=[self.labels[i] for i in indices], classes=self.classes
        )


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Lists the images in a folder and its sub-folders, links followed, hidden files and folders left out.

    Returns:
        Paths that start with `folder`, in alphabetical order; never empty.

    Raises:
        InputError: The folder is missing, is a file, cannot be read, or has no images.
    """
    folder = _check_folder(folder)
    images, others = _walk(folder)
    if images:
        return images
    kinds = ", ".join(f"{count} {suffix or 'without extension'}" for suffix, count in others.most_common(5))
    raise InputError(
        f"no images in this folder ({f'other files: {kinds}' if kinds else 'it has no files'})",
        where=folder,
        expected=f"files ending in {' '.join(sorted(EXTENSIONS))}, here or in sub-folders",
        fix="give a folder with images, or convert these files: data=FOLDER",
    )


def list_files(folder: str | os.PathLike[str], extensions: Collection[str]) -> list[Path]:
    """Lists the files with certain extensions, as `list_images` does; there may be none.

    Raises:
        InputError: The folder is missing, is a file, or cannot be read.
    """
    return _walk(_check_folder(folder), extensions)[0]


def unlabelled(path: str | os.PathLike[str]) -> list[Path]:
    """Lists images for pre-training.

    Args:
        path: A folder (all sub-folders count; but if it has both `train` and `val`, only `train` is used), a text file
            with one path per line, or a CSV table with the columns image,label (labels unused).

    Raises:
        InputError: Nothing usable is there; the message says what and where.
    """
    path = Path(path)
    if path.is_file():
        return [row.image for row in read_table(path)] if path.suffix.lower() == ".csv" else read_list(path)
    split = _train_and_val(path)
    return list_images(split[0] if split else path)


def image_names(images: Sequence[Path], data: str | os.PathLike[str]) -> list[str]:
    """Names of images that stay the same when their folder is moved: their paths relative to it.

    Args:
        images: Of `unlabelled(data)`.
        data: Folder, or list of images, whose folder then counts.
    """
    root = Path(data) if Path(data).is_dir() else Path(data).parent
    return [Path(os.path.relpath(image, root)).as_posix() for image in images]


def labelled(path: str | os.PathLike[str], classes: Sequence[str] | None = None) -> LabelledImages:
    """Lists images with their classes.

    Args:
        path: A folder with one sub-folder per class (nested folders belong to the class), or a CSV table with the
            columns image,label and paths relative to the table.
        classes: Names in the order of their index, when a model already has them (validation, evaluation); otherwise
            they are the names found, in alphabetical order.

    Raises:
        InputError: Nothing usable is there; without `classes`, an empty class folder or fewer than two classes; with
            them, images of other classes.
    """
    path = Path(path)
    if path.is_file():
        found: dict[str, list[Path]] = {}
        for row in read_table(path):
            found.setdefault(row.label, []).append(row.image)
    else:
        found = _class_folders(path)
    if classes is None:
        classes = sorted(found)
        empty = [name for name in classes if not found[name]]
        if empty:
            raise InputError(
                f"class folders without images: {_some(empty)}",
                where=path,
                expected="images of every class",
                fix="remove or fill these folders",
            )
        if len(classes) < 2:
            raise InputError(
                f"there is only one class: {classes[0]}",
                where=path,
                expected="at least two classes",
                fix="add a sub-folder (or rows of the table) for another class",
            )
    unknown = sorted({name for name, images in found.items() if images} - set(classes))
    if unknown:
        raise InputError(
            f"unknown classes: {_some(unknown)}",
            where=path,
            expected=f"the classes of the training data or checkpoint: {_some(list(classes))}",
            fix="rename or remove these classes",
        )
    index = {name: i for i, name in enumerate(classes)}
    pairs = [(image, index[name]) for name, images in sorted(found.items()) for image in images]
    return LabelledImages(
        paths=[image for image, _ in pairs], labels=[label for _, label in pairs], classes=list(classes)
    )


def labelled_split(
    data: str | os.PathLike[str], val: str | os.PathLike[str] | None = None, *, val_ratio: float = 0.1, seed: int = 0
) -> tuple[LabelledImages, LabelledImages]:
    """Lists training and validation images; no file is in both unless `data` and `val` overlap.

    Args:
        data: As `labelled`; or a folder with `train` and `val` (or `valid`, `validation`), each as `labelled`.
        val: Validation images, as `labelled`, with the classes of `data`. Wins over a `val` folder in `data`.
        val_ratio: Without any of these, the share of each class that is held out, in [0, 1). A class of two or more
            images gives at least one and keeps at least one; 0 holds out nothing.
        seed: Which images are held out. Per class, so that a change in one class leaves the others alone.

    Raises:
        InputError: As `labelled`; or `val_ratio` is out of range, or no class has two images.
    """
    split = _train_and_val(Path(data))
    if split:
        data, val = split[0], val or split[1]
    train = labelled(data)
    if val is not None:
        return train, labelled(val, train.classes)
    if not 0 <= val_ratio < 1:
        raise InputError(f"val_ratio is {val_ratio}", expected="0 <= val_ratio < 1", fix="val_ratio=0.1")
    held_out = _hold_out(train, val_ratio, seed) if val_ratio else set()
    if val_ratio and not held_out:
        raise InputError(
            "no class has two images, so none can be held out for validation",
            where=data,
            expected="at least two images in a class",
            fix="add images, or give validation images: val=FOLDER",
        )
    return (
        train.select([i for i in range(len(train)) if i not in held_out]),
        train.select(sorted(held_out)),
    )


def _hold_out(images: LabelledImages, ratio: float, seed: int) -> set[int]:
    held_out: set[int] = set()
    labels = np.asarray(images.labels)
    for label, name in enumerate(images.classes):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(ratio * len(members))), len(members) - 1)
        if count > 0:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogateescape"))])
            held_out.update(rng.permutation(members)[:count].tolist())
    return held_out


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    folder = _check_folder(folder)
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    layout = "one sub-folder per class with its images: FOLDER/cat/1.jpg, FOLDER/dog/2.jpg"
    if "train" in names and any(name in _VAL_NAMES for name in names):
        raise InputError(
            f"this folder holds parts of a data set ({_some(names)}), not classes",
            where=folder,
            expected=layout,
            fix=f"give one part: {folder / next(name for name in _VAL_NAMES if name in names)}",
        )
    found = {name: _walk(folder / name)[0] for name in names}
    if not any(found.values()):
        list_images(folder)  # Says so if there are no images at all.
        raise InputError(
            "no class sub-folders in this folder, only images",
            where=folder,
            expected=layout,
            fix="sort the images into one folder per class, or give a CSV table with the columns image,label",
        )
    return found


def _train_and_val(folder: Path) -> tuple[Path, Path] | None:
    """The two parts of a folder that has both."""
    for name in _VAL_NAMES:
        if (folder / "train").is_dir() and (folder / name).is_dir():
            return folder / "train", folder / name
    return None


def _walk(folder: Path, extensions: Collection[str] = EXTENSIONS) -> tuple[list[Path], Counter[str]]:
    """All images (or files of other kinds) below a folder, sorted, and the extensions of its other files."""

    def stop(error: OSError) -> None:
        raise InputError(
            f"cannot read this folder: {error.strerror}", where=error.filename, fix="change its permissions"
        )

    images: list[str] = []
    others: Counter[str] = Counter()
    visited: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        visited.add(os.path.realpath(root))
        # A folder counts once, whatever links lead to it: a link back to a folder above would never end.
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(root, name)) not in visited
        )
        for name in files:
            if name.startswith("."):
                continue
            suffix = os.path.splitext(name)[1].lower()
            if suffix in extensions:
                images.append(os.path.join(root, name))
            else:
                others[suffix] += 1
    return [Path(image) for image in sorted(images)], others


def _check_folder(folder: str | os.PathLike[str]) -> Path:
    folder = Path(folder)
    if folder.is_dir():
        return folder
    expected = "a folder with images, or a list of them (.txt, .csv)"
    if folder.exists():
        raise InputError("this is a file, not a folder", where=folder, expected=expected, fix=f"data={folder.parent}")
    parent = next(parent for parent in folder.absolute().parents if parent.exists())
    raise InputError(
        "this folder does not exist", where=folder, expected=expected, fix=f"see what is there: ls {parent}"
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_LISTED])
    return shown if len(names) <= _MOST_LISTED else f"{shown} and {len(names) - _MOST_LISTED} more"
