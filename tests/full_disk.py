"""A disk that is full."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from fastitpn.files import PatientFile


class FullDisk(PatientFile):
    """A file whose disk is full after 1000 bytes."""

    room = 1000

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """Within, no file of this process becomes larger: also libraries in C++ and Rust get an error of the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
