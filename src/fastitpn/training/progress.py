"""What is seen of a run on stderr: a bar in a terminal, else on the command line a line now and then."""

import math
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column
from torch.utils.data import DataLoader

from fastitpn.console import is_printing, say

REFRESH_S = 0.2
LINE_EVERY_S = 30.0
"""Without a terminal, seconds from one line to the next where there are no figures to show."""
_FIRST_LINE_S = 5.0

_shown: list["ProgressDisplay"] = []
"""The displays of this process, the innermost last."""


class ProgressDisplay:
    """Bar with the epoch, the time left, loss, learning rate, images per second and share of time waiting for data.

    Args:
        title: At the left of the bar.
        step: Steps that are done already.
        steps: Steps of the whole run; 0: nobody knows.
        epochs: Epochs of the whole run; None where there are none.
        enabled: False for all processes but the first.
    """

    def __init__(self, title: str, *, step: int, steps: int, epochs: float | None = None, enabled: bool = True):
        self._enabled = enabled
        self._steps, self._epochs = steps, epochs
        self._first = step
        self._started = time.monotonic()
        self._refreshed = 0.0
        self._line_due = self._started + _FIRST_LINE_S
        self._bar: Progress | None = None
        if enabled and sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
                TextColumn("{task.fields[figures]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            )
            # Refreshed by hand: a thread of its own would be there when the data workers are forked.
            self._bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
            self._task = self._bar.add_task(
                title, total=steps or None, completed=step, left=self._epoch(step), figures=""
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        _shown.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _shown.remove(self)
        if self._bar is not None:
            self._bar.stop()

    def advance(self, step: int) -> None:
        """A step is done."""
        if self._bar is None:
            self._say_now_and_then(f"step {step}/{self._steps}  {self._progress(step)}")
        else:
            self._bar.update(self._task, completed=step, left=self._progress(step))
            self._refresh(step == self._steps)

    def show(self, step: int, figures: str) -> None:
        """Figures that are new at `step`."""
        if self._bar is not None:
            self._bar.update(self._task, figures=figures)
        else:
            epoch = self._epoch(step)
            self.say(f"step {step}/{self._steps}  {epoch}{'  ' if epoch else ''}{figures}  {self._left(step)}")

    def say(self, line: str) -> None:
        """A line of its own."""
        self._line_due = time.monotonic() + LINE_EVERY_S
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif self._enabled and is_printing():
            say(line, error=True)

    def follow(self, batches: "DataLoader[Any]", title: str) -> Iterator[Any]:
        """The batches of something that interrupts the steps, such as a validation, with a bar of its own."""
        inner, count = None, len(batches)
        if self._bar is not None:
            inner = self._bar.add_task(title, total=count, left="", figures="")
        try:
            for number, batch in enumerate(batches):
                if self._bar is None:
                    self._say_now_and_then(f"{title} {number}/{count}")
                else:
                    assert inner is not None
                    self._bar.update(inner, completed=number)
                    self._refresh(number == 0)
                yield batch
        finally:
            if self._bar is not None and inner is not None:
                self._bar.remove_task(inner)
                self._bar.refresh()

    def _refresh(self, at_once: bool) -> None:
        assert self._bar is not None
        if at_once or time.monotonic() - self._refreshed > REFRESH_S:
            self._bar.refresh()
            self._refreshed = time.monotonic()

    def _say_now_and_then(self, line: str) -> None:
        if time.monotonic() > self._line_due:
            self.say(line)

    def _progress(self, step: int) -> str:
        return "  ".join(filter(None, (self._epoch(step), self._left(step))))

    def _epoch(self, step: int) -> str:
        """The epoch that a step is in, of all; "" where there are none."""
        if not self._epochs or not self._steps:
            return ""
        last = math.ceil(self._epochs)
        return f"epoch {min(last, int(step / self._steps * self._epochs) + 1)}/{last}"

    def _left(self, step: int) -> str:
        done = step - self._first
        if not done or not self._steps:
            return ""
        seconds = int((time.monotonic() - self._started) / done * (self._steps - step))
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"


def followed(batches: "DataLoader[Any]", title: str = "validating") -> Iterator[Any]:
    """The batches of an evaluation; the display of the run that it belongs to says how far it is.

    Args:
        batches: The loader of the evaluation.
        title: What the display calls it.
    """
    yield from _shown[-1].follow(batches, title) if _shown else batches
