"""What is seen of a run on stderr: a bar in a terminal, else on the command line a line now and then."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fastitpn.console import is_printing, say

REFRESH_S = 0.2


class ProgressDisplay:
    """Bar with loss, learning rate, images per second, share of time spent waiting for data, and time left.

    Args:
        title: At the left of the bar.
        step: Steps that are done already.
        steps: Steps of the whole run; 0: nobody knows.
        enabled: False for all processes but the first.
    """

    def __init__(self, title: str, *, step: int, steps: int, enabled: bool = True):
        self._enabled = enabled
        self._steps = steps
        self._first = step
        self._started = time.monotonic()
        self._refreshed = 0.0
        self._bar: Progress | None = None
        if enabled and sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(compact=True),
            )
            # Refreshed by hand: a thread of its own would be there when the data workers are forked.
            self._bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
            self._task = self._bar.add_task(title, total=steps or None, completed=step, figures="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, step: int) -> None:
        """A step is done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)
            if time.monotonic() - self._refreshed > REFRESH_S or step == self._steps:
                self._bar.refresh()
                self._refreshed = time.monotonic()

    def show(self, step: int, figures: str) -> None:
        """Figures that are new at `step`."""
        if self._bar is not None:
            self._bar.update(self._task, figures=figures)
        else:
            self.say(f"step {step}/{self._steps}  {figures}  {self._left(step)}")

    def say(self, line: str) -> None:
        """A line of its own."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif self._enabled and is_printing():
            say(line, error=True)

    def _left(self, step: int) -> str:
        done = step - self._first
        seconds = (time.monotonic() - self._started) / done * (self._steps - step) if done else 0.0
        return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02} left"
