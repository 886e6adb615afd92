"""One process at a time writes into a run directory."""

import errno
import os
import socket
import time
from pathlib import Path
from types import ModuleType
from typing import Self

from fastitpn.errors import InputError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None

NAME = ".lock"
_NOT_OFFERED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer."""


class RunLock:
    """A lock on a folder, which the end of the process frees however it comes; workers do not inherit it.

    Args:
        folder: An existing folder, which has a hidden file while it is locked.

    Raises:
        InputError: Another process has it; the text says which.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self.file: int | None = None
        while fcntl is not None and self.file is None:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.read(file, 1000).decode(errors="replace")
                os.close(file)
                if error.errno in _NOT_OFFERED:
                    return
                raise _taken(folder, holder.strip()) from None
            if _is_at(self.path, file):
                self.file = file
            else:  # its holder deleted it since
                os.close(file)
        if self.file is not None:
            os.truncate(self.file, 0)
            began = time.strftime("%Y-%m-%d %H:%M:%S")
            os.write(self.file, f"process {os.getpid()} on {socket.gethostname()}, since {began}\n".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others write; once more does nothing."""
        if self.file is not None:
            self.path.unlink(missing_ok=True)  # before it is free, so that nobody has a file that is gone
            os.close(self.file)
            self.file = None

    def __del__(self) -> None:
        if getattr(self, "file", None) is not None:
            self.release()


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _taken(folder: Path, holder: str) -> InputError:
    holder = holder or "another process"
    number = holder.split()[1] if holder.startswith("process ") else "PID"
    return InputError(
        f"a run writes into this folder already: {holder}",
        where=folder,
        expected="a folder that nothing writes into",
        fix=f"wait for it, or end it (kill -TERM {number}: it saves first, this command resumes it), or out=ANOTHER",
    )
