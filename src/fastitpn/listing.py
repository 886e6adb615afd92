"""What lies in folders: files and folders, and no pipes, sockets or devices, of which reading one may never end.

Nothing else in this package lists a folder.
"""

import glob
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from os import DirEntry
from pathlib import Path


def children(folder: Path) -> list[Path]:
    """The files and folders in a folder, in no order; links that lead nowhere too.

    Raises:
        OSError: It is no folder, or cannot be read.
    """
    with os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries if _is_kept(entry)]


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, and links to folders, in no order.

    Raises:
        OSError: It is no folder, or cannot be read.
    """
    with os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries if _is(entry, DirEntry.is_dir)]


def is_empty(folder: Path) -> bool:
    """Whether nothing at all lies in a folder."""
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def matching(folder: Path, *patterns: str) -> list[Path]:
    """The files and folders in a folder that a pattern of `Path.glob` matches, sorted; none if there is no folder."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if not _is_special(path)})


def devices(folder: Path, pattern: str) -> list[Path]:
    """The devices in a folder, such as cameras, that a pattern matches, sorted. None of them is opened."""
    return sorted(folder.glob(pattern))


def expanded(pattern: str) -> list[Path]:
    """The files and folders that a pattern such as photos/**/*.jpg matches, sorted."""
    return [path for path in map(Path, sorted(glob.glob(pattern, recursive=True))) if not _is_special(path)]


def walk(
    folder: Path,
    *,
    onerror: Callable[[OSError], object] | None = None,
    followlinks: bool = False,
    special: Counter[str] | None = None,
) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, without pipes, sockets and devices, of which reading one may never end.

    Args:
        folder: Where to begin. What is taken out of the second list of a tuple is not entered.
        onerror: What to do about a folder that cannot be read; None passes it over.
        followlinks: Enter folders that links lead to.
        special: Counts what is left out, by name.
    """
    pending = [str(folder)]
    while pending:
        root = pending.pop()
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(root) as entries:
                for entry in entries:
                    if _is(entry, DirEntry.is_dir):
                        folders.append(entry.name)
                    elif _is_kept(entry):
                        files.append(entry.name)
                    elif special is not None:
                        special[entry.name] += 1
        except OSError as error:
            if onerror is not None:
                onerror(error)
            continue
        yield root, folders, files
        inside = [os.path.join(root, name) for name in reversed(folders)]
        pending += [path for path in inside if followlinks or not os.path.islink(path)]


def _is_kept(entry: "DirEntry[str]") -> bool:
    if _is(entry, DirEntry.is_file) or _is(entry, DirEntry.is_dir):
        return True
    return not os.path.exists(entry.path)  # links that lead nowhere


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is(entry: "DirEntry[str]", kind: Callable[["DirEntry[str]"], bool]) -> bool:
    try:
        return kind(entry)
    except OSError:
        return False
