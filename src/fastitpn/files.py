"""Files and folders that are either the old or the new ones, whatever happens in between."""

import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import DirEntry
from pathlib import Path
from typing import IO

from fastitpn.errors import FastITPNError, InputError


@contextmanager
def replacing(path: Path, *, previous: Path | None = None) -> Iterator[IO[bytes]]:
    """A binary file to write, which takes the place of `path` when all of it is on the disk.

    Args:
        path: In a folder that exists.
        previous: Where to move what was at `path` before; None to drop it.

    Raises:
        InputError: It could not be written, for example because the disk is full. What was at `path` is still there.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if not isinstance(error, FastITPNError) and (cause := _system_error(error)):
            raise _not_written(path, cause) from error
        raise


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
                    elif _is(entry, DirEntry.is_file) or not os.path.exists(entry.path):  # links that lead nowhere
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


def _is(entry: "DirEntry[str]", kind: Callable[["DirEntry[str]"], bool]) -> bool:
    try:
        return kind(entry)
    except OSError:
        return False


def write_text(path: Path, text: str, *, errors: str = "strict") -> None:
    """Replaces a UTF-8 file by `text`; `errors` as in `str.encode`."""
    with replacing(path) as file:
        file.write(text.encode(errors=errors))


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which is moved to `path` when all went well; else nothing of it is left.

    Args:
        path: Where there is nothing, or an empty folder. Missing folders above it are made.

    Raises:
        OSError: It cannot be made, or something is in its place by then.
    """
    path = Path(os.path.abspath(path))
    folder = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True)
        yield folder
        if path.is_dir():
            path.rmdir()
        os.replace(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _system_error(error: BaseException | None) -> OSError | None:
    # Torch's zip writer answers a failed write with a RuntimeError, raised while it handles the OSError.
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error


def _not_written(path: Path, cause: OSError) -> InputError:
    full = cause.errno in (errno.ENOSPC, errno.EDQUOT)
    return InputError(
        f"{path.name} could not be written: {'the disk is full' if full else cause.strerror or cause}",
        where=path,
        expected=f"room in {path.parent}" if full else f"a writable folder {path.parent}",
        fix="make room, then type the same command again: a run continues from its last checkpoint" if full else None,
    )


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
