"""Files and folders that are either the old or the new ones, whatever happens in between."""

import ctypes
import errno
import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from fastitpn.errors import FastITPNError, InputError

ResultT = TypeVar("ResultT")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_HERE, _RENAME_EXCHANGE = -100, 2
"""Of Linux's `renameat2`."""
_FULL_BYTES = 64 << 10
"""A disk with no more room is full, whatever else an error says: half of what was being written is still there."""
_WAITS_S = (0.1, 0.4, 1.6)
"""Before a disk is asked again: input/output errors of network disks and loose cables pass."""


def persistently(call: Callable[..., ResultT], *arguments: Any) -> ResultT:
    """What a call gives; after an input/output error (EIO) it is made again, three times at most.

    Raises:
        OSError: That error the fourth time, or any other at once.
    """
    for wait_s in _WAITS_S:
        try:
            return call(*arguments)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        time.sleep(wait_s)
    return call(*arguments)


class PatientFile(io.FileIO):
    """A file without a buffer, whose writes are made `persistently`."""

    def write(self, data: Any, /) -> int:
        """Write some of it; how many bytes."""
        return persistently(super().write, data)


@contextmanager
def replacing(path: Path, *, previous: Path | None = None) -> Iterator[IO[bytes]]:
    """A binary file to write, which takes the place of `path` when all of it is on the disk.

    Args:
        path: In a folder that exists.
        previous: Where to move what was at `path` before; None to drop it.

    Raises:
        InputError: It could not be written, for example because the disk is full. What was at `path` is still there.
    """
    with _temporary(path) as temporary:
        with io.BufferedWriter(persistently(PatientFile, temporary, "wb")) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # once: after an error the system takes what it dropped for written
        if previous is not None and path.exists():
            persistently(os.replace, path, previous)
        persistently(os.replace, temporary, path)
        _sync_folder(path.parent)


def copy_file(source: Path, path: Path) -> None:
    """Copies a file as a whole, or not at all; it may be made again, so nobody waits until it is on the disk.

    Raises:
        InputError: It could not be written.
    """
    with _temporary(path) as temporary:
        persistently(shutil.copyfile, source, temporary)
        persistently(os.replace, temporary, path)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A file beside `path` to write, of which nothing is left when that fails."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
    except BaseException as error:
        problem = _not_written(error, path)  # before there is room again
        temporary.unlink(missing_ok=True)
        if problem is not None:
            raise problem from error
        raise


def write_text(path: Path, text: str, *, errors: str = "strict") -> None:
    """Replaces a UTF-8 file by `text`; `errors` as in `str.encode`."""
    with replacing(path) as file:
        file.write(text.encode(errors=errors))


def append_line(path: Path, line: str) -> None:
    """Adds a line to a UTF-8 file and hands it over to the system at once: all of it or nothing.

    Raises:
        InputError: It could not be written.
    """
    content, written = f"{line}\n".encode(errors="backslashreplace"), 0
    try:
        with persistently(PatientFile, path, "ab") as file:
            end = file.seek(0, os.SEEK_END)
            try:
                while written < len(content):
                    written += file.write(content[written:])
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        raise _not_written(error, path) or error from error


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which is moved to `path` when all went well; else nothing of it is left.

    Args:
        path: Where there is nothing, or an empty folder. Missing folders above it are made.
        replace: Take the place of a folder with something in it: in one step where the system can (Linux).

    Raises:
        OSError: It cannot be made, or something is in its place by then.
        InputError: A file in it could not be written.
    """
    path = Path(os.path.abspath(path))
    folder = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        persistently(os.makedirs, folder)
        try:
            yield folder
        except Exception as error:
            ours = isinstance(error, InputError) and Path(str(error.where)).is_relative_to(folder)
            if problem := _not_written((ours and error.__cause__) or error, path, folder):
                raise problem from error
            raise
        if not (replace and path.is_dir() and _exchange(folder, path)):
            if path.is_dir():
                (shutil.rmtree if replace else os.rmdir)(path)
            persistently(os.replace, folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether an error comes from a lack of room, also where a library in C++ or Rust hides that.

    Args:
        error: What was raised while a file was written.
        folder: Where it was written; half of it is still there.
    """
    causes = list(_causes(error))
    if any(isinstance(cause, OSError) and cause.errno in _NO_ROOM for cause in causes):
        return True
    if any("No space left on device" in str(cause) for cause in causes):
        return True
    hidden = isinstance(error, Exception) and not isinstance(error, FastITPNError)
    return hidden and folder.is_dir() and shutil.disk_usage(folder).free < _FULL_BYTES


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    # Torch's zip writer answers a failed write with a RuntimeError, raised while it handles the OSError.
    while error is not None:
        yield error
        error = error.__context__


def _not_written(error: BaseException, path: Path, inside: Path | None = None) -> InputError | None:
    """What to say of a file or folder that could not be written; None for an error that is of something else.

    Args:
        error: What was raised meanwhile.
        path: The file, or the folder.
        inside: Of a folder where its files are written until all are there.
    """
    if isinstance(error, FastITPNError) or not isinstance(error, Exception):
        return None
    folder = path.parent
    full = is_disk_full(error, inside or folder)
    cause = next((cause for cause in _causes(error) if _is_of_file(cause, inside or folder, named=bool(inside))), None)
    if cause is None and not full:
        return None
    return InputError(
        f"{path.name} could not be written: {'the disk is full' if full else getattr(cause, 'strerror', '') or cause}",
        where=path,
        expected=f"room in {folder}" if full else f"a writable folder {folder}",
        fix="make room, then type the same command again: a run continues from its last checkpoint" if full else None,
    )


def _is_of_file(error: BaseException, folder: Path, *, named: bool) -> bool:
    """Whether the system says so of a file in a folder; without a name only if it need not be `named`."""
    if not isinstance(error, OSError):
        return False
    name = error.filename2 or error.filename  # of two the second is written
    return not named if name is None else Path(os.fsdecode(name)).is_relative_to(folder)


def _exchange(first: Path, second: Path) -> bool:
    """Two folders change places in one step; False where the system has no such step."""
    try:
        names = os.fsencode(first), os.fsencode(second)
        return bool(ctypes.CDLL(None).renameat2(_HERE, names[0], _HERE, names[1], _RENAME_EXCHANGE) == 0)
    except (AttributeError, OSError, TypeError):
        return False


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
