"""A disk that is full."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class FullDisk:
    """A file whose disk is full after 1000 bytes."""

    def __init__(self, *arguments: Any, **keys: Any):
        self.file = open(*arguments, **keys)  # noqa: SIM115
        self.room = 1000

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def seek(self, *place):
        return self.file.seek(*place)

    def truncate(self, size):
        return self.file.truncate(size)

    def flush(self):
        self.file.flush()

    def fileno(self):
        return self.file.fileno()


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """Within, no file of this process becomes larger: also libraries in C++ and Rust get an error of the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
