"""A disk that is full."""

import errno
from typing import Any


class FullDisk:
    """A file whose disk is full after 1000 bytes."""

    def __init__(self, *arguments: Any):
        self.file = open(*arguments)  # noqa: SIM115
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

    def flush(self):
        self.file.flush()

    def fileno(self):
        return self.file.fileno()
