"""Finds images in folders and lists, and counts the files that are left out."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.debris import is_left_out
from fastitpn.data.images.kinds import EXTENSIONS, not_read
from fastitpn.data.images.lists import read_list
from fastitpn.data.images.mask_names import IMAGE_FOLDERS, MASK_FOLDERS, masks_among
from fastitpn.data.images.signatures import HEAD_BYTES, kind_of
from fastitpn.data.images.tables import TABLES, read_table
from fastitpn.data.parts import by_part, data_parts, part_to_train_on
from fastitpn.errors import InputError
from fastitpn.listing import children, subfolders, walk

_SUFFIX_OF = {"image": ".jpg", "video": ".mp4"}


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What is left out of a folder.

    Attributes:
        suffixes: Number of files by suffix (in lower case) that are no images.
        debris: Number of folders by name that file systems have left behind.
        unnamed: Number of images and videos whose names have no suffix, by which of these they are.
        special: Number of pipes, sockets and devices by name.
    """

    suffixes: Counter[str] = field(default_factory=Counter)
    debris: Counter[str] = field(default_factory=Counter)
    unnamed: Counter[str] = field(default_factory=Counter)
    special: Counter[str] = field(default_factory=Counter)

    def line(self, *, but: Collection[str] = ()) -> str | None:
        """What to say of them; None if there is nothing to say: other files, such as labels, go without a word.

        Args:
            but: Suffixes of files that are read all the same, such as those of videos.
        """
        lines = not_read({suffix: count for suffix, count in self.suffixes.items() if suffix not in but})
        lines += [
            f"{count:,} {kind}{'s' * (count != 1)} without a suffix {'was' if count == 1 else 'were'} not read: give "
            f"{'it' if count == 1 else 'them'} one, such as {_SUFFIX_OF[kind]}"
            for kind, count in sorted(self.unnamed.items())
        ]
        if self.debris:
            lines.append("folders of file systems were left out: " + _counted(self.debris))
        if self.special:
            lines.append("what is no file was left out: " + _counted(self.special))
        return "; ".join(lines) or None


def left_out(*folders: Path | None) -> LeftOut:
    """What is left out of some folders, each of which may be none or a file, and is then passed over."""
    result = LeftOut()
    for folder in dict.fromkeys(folders):
        if folder is not None and folder.is_dir():
            for file in _files(folder, result.debris, result.special):
                suffix = _suffix(file)
                result.suffixes[suffix] += 1
                if not suffix and (kind := _content(file)):
                    result.unnamed[kind] += 1
    return result


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
    kinds = _counted(others)
    advice = "; ".join(not_read(others))
    raise InputError(
        f"no images in this folder ({f'other files: {kinds}' if kinds else 'it has no files'})",
        where=folder,
        expected=f"files ending in {' '.join(sorted(EXTENSIONS))}, here or in sub-folders",
        fix=advice or "give a folder with images, or convert these files: data=FOLDER",
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
        path: A folder (all sub-folders count; but of parts, see `data_parts`, only `train` is used, which may be a list
            of images beside lists of the others), a text file with one path per line, or a CSV table of images (labels
            unused; of parts only those to train on).

    Raises:
        InputError: Nothing usable is there; the message says what and where.
    """
    path = Path(path)
    if path.is_file():
        return read_images(path)
    parts = image_parts(path)
    if "" in parts and path.is_dir() and (lists := _part_lists(path)):
        others = " and ".join(file.name for part, file in lists.items() if part != "train")
        say(f"the images that {lists['train'].name} lists are trained on, not those of {others}")
        return read_images(lists["train"])
    images = list_images(part_to_train_on(parts, where=path, path=lambda folder: folder))
    masks = masks_among(images)
    if masks:
        say(f"{len(masks)} masks beside their images are left out, such as {min(masks).name}")
    return [image for image in images if image not in masks]


def image_parts(data: Path) -> dict[str, Path]:
    """The folders of a data set's parts; "" for one without parts. Of images with labels beside them, the images."""
    parts = data_parts(_without_labels(data))
    return {part: _without_labels(folder) for part, folder in parts.items()} or {"": _without_labels(data)}


def _part_lists(data: Path) -> dict[str, Path]:
    """The lists or tables of images of each part that lie in a folder, if there is one to train on and another."""
    for suffixes in (TABLES, (".txt",)):
        files = (path for path in children(data) if path.suffix.lower() in suffixes and path.is_file())
        lists = by_part(files, where=data)
        if "train" in lists and len(lists) > 1:
            return lists
    return {}


def _without_labels(folder: Path) -> Path:
    """The folder of images in a folder that has another with labels; else the folder itself."""
    if not folder.is_dir():
        return folder
    inside = {path.name.lower(): path for path in sorted(subfolders(folder))}
    images = next((inside[name.lower()] for name in IMAGE_FOLDERS if name.lower() in inside), None)
    return images if images and any(name.lower() in inside for name in MASK_FOLDERS) else folder


def read_images(file: Path) -> list[Path]:
    """The images that a text list or a CSV table names, of a table with parts those of train.

    Raises:
        InputError: Something is wrong in it.
    """
    if file.suffix.lower() not in TABLES:
        return read_list(file)
    rows = read_table(file, labelled=False)
    return [row.image for row in rows if row.part == "train"] or [row.image for row in rows]


def inner_folder(folder: Path) -> Path | None:
    """The only folder in a folder without images beside it, as archives unpack to; None if it is another.

    Of a folder in such a folder, which archives in archives unpack to, the innermost.
    """
    if not folder.is_dir():
        return None
    names = [path for path in children(folder) if not is_left_out(path.name)]
    inner = [path for path in names if path.is_dir()]
    if len(inner) != 1 or any(_suffix(path.name) in EXTENSIONS for path in names):
        return None
    return inner_folder(inner[0]) or inner[0]


def image_names(images: Sequence[Path], data: str | os.PathLike[str]) -> list[str]:
    """Names of images that stay the same when their folder is moved: their paths relative to it.

    Args:
        images: Files that `unlabelled(data)` lists.
        data: Folder, or list of images, whose folder then counts.
    """
    root = Path(data) if Path(data).is_dir() else Path(data).parent
    return [Path(os.path.relpath(image, root)).as_posix() for image in images]


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
    raise InputError("this folder does not exist", where=folder, expected=expected, fix=f"list the folder: ls {parent}")


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


def _files(folder: Path, debris: Counter[str] | None = None, special: Counter[str] | None = None) -> Iterator[str]:
    """All files below a folder but hidden ones, debris, whose folders are counted by name, and pipes and devices."""

    def stop(error: OSError) -> None:
        raise InputError(
            f"cannot read this folder: {error.strerror}", where=error.filename, fix="change its permissions"
        )

    visited: set[str] = set()
    for root, folders, files in walk(folder, onerror=stop, followlinks=True, special=special):
        visited.add(os.path.realpath(root))
        if debris is not None:
            debris.update(name for name in folders if is_left_out(name) and not name.startswith("."))
        # A folder counts once, whatever links lead to it: a link back to a folder above would never end.
        folders[:] = sorted(
            name
            for name in folders
            if not is_left_out(name) and os.path.realpath(os.path.join(root, name)) not in visited
        )
        yield from (os.path.join(root, name) for name in files if not is_left_out(name))


def _content(file: str) -> str | None:
    """Whether a file is an image or a video by its first bytes; None if it is neither."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return None
    return kind_of(head)


def _counted(kinds: Counter[str], most: int = 20) -> str:
    counted = [f"{count} {kind or 'without extension'}" for kind, count in kinds.most_common(most)]
    return ", ".join([*counted, "..."] if len(kinds) > most else counted)


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()
