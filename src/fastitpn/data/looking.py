"""Looks at many files in threads, and shows how far it is where that takes long."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fastitpn.console import is_printing, say

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

SHOWN_AFTER_S = 1.0
"""What takes less long needs no bar."""
LINE_EVERY_S = 10.0
"""Without a terminal, seconds from one line to the next."""
_CHUNK = 16


def look_at_each(look: Callable[[ItemT], ResultT], items: Sequence[ItemT], title: str) -> list[ResultT]:
    """Calls a function with each item, in threads.

    Args:
        look: Reads a file; what it raises ends the reading.
        items: Such as paths.
        title: Says what is done, such as "checking images".

    Returns:
        The results, in the order of the items.
    """
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    results: list[ResultT] = []
    with (
        ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool,
        ReadingProgress(title, len(items)) as progress,
    ):
        for chunk in pool.map(lambda chunk: [look(item) for item in chunk], chunks):
            results += chunk
            progress.update(len(results))
    return results


class ReadingProgress:
    """A bar on stderr in a terminal, a line now and then on another command line, nothing in the Python API.

    Args:
        title: Left of the bar.
        total: Number of items.
    """

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total = title, total
        self._due = time.monotonic() + SHOWN_AFTER_S
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int) -> None:
        """So many items are done."""
        if self._bar is None:
            if not is_printing() or time.monotonic() < self._due:
                return
            if not sys.stderr.isatty():
                say(f"{self._title}: {done:,} of {self._total:,}", error=True)
                self._due = time.monotonic() + LINE_EVERY_S
                return
            columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
            # Refreshed by hand: a thread of its own would be there when data workers are forked.
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
            self._task = self._bar.add_task(self._title, total=self._total)
            self._bar.start()
        self._bar.update(self._task, completed=done, refresh=True)
