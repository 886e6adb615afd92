"""Finds images in folders and lists, and the parts of data that lies in folders."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.lists import read_list, read_table
from fastitpn.errors import InputError

VAL_NAMES = ("val", "valid", "validation")


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Lists the images in a folder and its sub-folders, links followed, hidden files and folders left out.

    Returns:
        Paths that start with `folder`, in alphabetical order; never empty.

    Raises:
        InputError: The folder is missing, is a file, cannot be read, or has no images.
    """
    folder = check_folder(folder)
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
    return _walk(check_folder(folder), extensions)[0]


def has_images(folder: Path) -> bool:
    """Whether there is an image in a folder, which need not be there, or in its sub-folders."""
    try:
        return any(_suffix(file) in EXTENSIONS for file in _files(folder))
    except InputError:
        return False


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
    split = train_and_val_folders(path)
    return list_images(split[0] if split else path)


def image_names(images: Sequence[Path], data: str | os.PathLike[str]) -> list[str]:
    """Names of images that stay the same when their folder is moved: their paths relative to it.

    Args:
        images: Files that `unlabelled(data)` lists.
        data: Folder, or list of images, whose folder then counts.
    """
    root = Path(data) if Path(data).is_dir() else Path(data).parent
    return [Path(os.path.relpath(image, root)).as_posix() for image in images]


def train_and_val_folders(folder: Path) -> tuple[Path, Path] | None:
    """The two parts of a folder that has both."""
    for name in VAL_NAMES:
        if (folder / "train").is_dir() and (folder / name).is_dir():
            return folder / "train", folder / name
    return None


def part_folders(data: Path, val: Path | None) -> dict[str, Path]:
    """Where train and val are, of which the latter may be called `test`; or "" for all of the data.

    Args:
        data: A folder, or a list of images.
        val: Another to validate on.
    """
    inside = val or next((data / name for name in (*VAL_NAMES, "test") if (data / name).is_dir()), None)
    if inside is not None and (data / "train").is_dir():
        return {"train": data / "train", "val": inside}
    return {"": data} if val is None else {"train": data, "val": val}


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, if it is there.

    Raises:
        InputError: It is missing, or a file.
    """
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


def _walk(folder: Path, extensions: Collection[str] = EXTENSIONS) -> tuple[list[Path], Counter[str]]:
    """All images (or files of other kinds) below a folder, sorted, and the extensions of its other files."""
    images: list[str] = []
    others: Counter[str] = Counter()
    for file in _files(folder):
        if (suffix := _suffix(file)) in extensions:
            images.append(file)
        else:
            others[suffix] += 1
    return [Path(image) for image in sorted(images)], others


def _files(folder: Path) -> Iterator[str]:
    """All files below a folder but hidden ones."""

    def stop(error: OSError) -> None:
        raise InputError(
            f"cannot read this folder: {error.strerror}", where=error.filename, fix="change its permissions"
        )

    visited: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        visited.add(os.path.realpath(root))
        # A folder counts once, whatever links lead to it: a link back to a folder above would never end.
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(root, name)) not in visited
        )
        yield from (os.path.join(root, name) for name in files if not name.startswith("."))


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()
