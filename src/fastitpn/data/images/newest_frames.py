"""The newest frame of a live source, so that a model slower than its camera does not fall behind."""

import threading
from collections.abc import Iterable, Iterator
from typing import Self

from fastitpn.data.images.videos import Frame

_LOOK_S = 0.2
"""Ctrl-C does not end a wait without a limit everywhere."""


class NewestFrames:
    """Reads a live source in a thread, within a `with` statement. Iterating gives the newest frame each time.

    Args:
        source: Frames that arrive by the clock, whether anything reads them or not.

    Attributes:
        dropped: Frames that newer ones replaced before anything asked for them.
    """

    def __init__(self, source: Iterable[Frame]):
        self.dropped = 0
        self._source = source
        self._newest: Frame | None = None
        self._error: BaseException | None = None
        self._ended = self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="newest-frames", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join()  # a stream answers within its timeout, and is closed after this

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame
        if self._error is not None:
            raise self._error

    def _next(self) -> Frame | None:
        with self._changed:
            while not self._changed.wait_for(lambda: self._newest is not None or self._ended, _LOOK_S):
                pass
            frame, self._newest = self._newest, None
            return frame

    def _read(self) -> None:
        try:
            for frame in self._source:
                with self._changed:
                    self.dropped += self._newest is not None
                    self._newest = frame
                    self._changed.notify()
                if self._stopped:
                    break
        except BaseException as error:  # raised again in the thread that asks
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
