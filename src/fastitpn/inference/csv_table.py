"""Results as a CSV table: a line for each object, class or image."""

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from fastitpn.files import replacing

if TYPE_CHECKING:
    from fastitpn.inference.results import Result


class CsvTable:
    """A table that is being written; its columns are those of the first line.

    Args:
        file: Text, open for writing.
    """

    def __init__(self, file: io.TextIOWrapper):
        self._file = file
        self._writer: csv.DictWriter[str] | None = None

    def add(self, place: Mapping[str, Any], result: "Result") -> None:
        """Adds the lines of a result.

        Args:
            place: The first columns: which image, or which frame of a video.
            result: What was predicted.
        """
        for row in result.csv_rows():
            line = {**place, **row}
            if self._writer is None:
                self._writer = csv.DictWriter(self._file, list(line))
                self._writer.writeheader()
            self._writer.writerow(line)


@contextmanager
def csv_table(path: Path) -> Iterator[CsvTable]:
    """A table that takes the place of `path` when all of it is written.

    Raises:
        InputError: It could not be written.
    """
    with replacing(path) as file:
        text = io.TextIOWrapper(cast(BinaryIO, file), "utf-8", "backslashreplace", newline="")
        yield CsvTable(text)
        text.flush()
        text.detach()
