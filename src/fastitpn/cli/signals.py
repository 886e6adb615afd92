"""SIGTERM and SIGUSR1 (a scheduler's warning) end a command as Ctrl-C does: what it was writing is removed."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Within, the signals raise `KeyboardInterrupt`, unless something takes them for itself (a training does).

    A signal that somebody else has given a meaning keeps it. In any thread but the main one, where Python delivers no
    signals, it does nothing.
    """
    process = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a copy of this process that loads data: nobody waits for what it says
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt

    ours = []
    if threading.current_thread() is threading.main_thread():
        ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
