"""Ctrl-C, SIGTERM and SIGUSR1 (a scheduler's warning): the step in hand is finished first."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
"""Schedulers such as SLURM announce the end of a job's time by the last two."""
REPEAT_S = 1.0
"""Programs that start others pass Ctrl-C on to them, so one key press can arrive twice."""


class Stopped(KeyboardInterrupt):
    """The run was asked to stop, and is between two steps."""


class StopRequest:
    """While entered, the first of `STOPPING` signals only asks to stop; a second one interrupts at once.

    In any thread but the main one, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._requested_at = 0.0
        self._raising = False
        self._process = os.getpid()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                self._handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @contextmanager
    def at_once(self, enabled: bool = True) -> Iterator[None]:
        """Within, a request raises `Stopped` without delay: for code that may be left at any point.

        Args:
            enabled: False for code that all processes must go through together.
        """
        if enabled and self.requested:
            raise Stopped
        self._raising = enabled
        try:
            yield
        finally:
            self._raising = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked data worker: its parent tells it when to go
            return
        if self.requested:
            if time.monotonic() - self._requested_at < REPEAT_S:
                return
            raise KeyboardInterrupt
        self.requested, self._requested_at = True, time.monotonic()
        if hasattr(signal, "SIGCHLD"):
            # Data workers got the signal too, and may die of it; torch's handler would raise for that mid-step.
            self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if self._raising:
            raise Stopped
