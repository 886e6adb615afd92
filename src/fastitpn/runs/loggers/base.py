"""What a logger is: a class that takes the rows of a run's log."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """A run, as a logger sees it.

    Attributes:
        directory: Folder of the run.
        title: What to call the run.
        config: Dotted keys of the run and their values; plain types.
        step: Where the run begins or goes on.
        mark: What the logger calls the run, if it knows it from before; "" for a new one.
    """

    directory: Path
    title: str
    config: Mapping[str, Any]
    step: int
    mark: str = ""


class MetricsLogger:
    """Takes rows of `metrics.jsonl`. A subclass is made with a `LoggedRun`, and says what `LOGGERS` calls it.

    Attributes:
        forgets: Whether it drops, when it is opened, what it was given after the step at which a run goes on; the rows
            of a logger that cannot are not sent a second time.
        begins: Whether it has nothing of the run yet, and wants the rows of before.
        mark: What it calls the run, to go on with it.
    """

    forgets: ClassVar[bool] = False

    begins: bool = True
    mark: str = ""

    def __init__(self, run: LoggedRun):
        raise NotImplementedError

    def write(self, row: Mapping[str, Any]) -> None:
        """Take a row, with its `step` and its `split`."""
        raise NotImplementedError

    def close(self, *, complete: bool) -> None:
        """Write what is still held back; `complete` says whether the run reached its end."""

    @classmethod
    def check_access(cls) -> None:
        """Make sure that it may be used, before anything is read.

        Raises:
            InputError: A login is missing.
        """


def values_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a row, named by split and metric, as in `train/loss`."""
    return {
        f"{row['split']}/{name}": value
        for name, value in row.items()
        if name not in ("step", "split") and isinstance(value, int | float) and math.isfinite(value)
    }
