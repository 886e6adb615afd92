"""How long a run on a CPU will take, from its first steps, and what to type for less."""

import math
import time

LONG_S = 3600.0
"""Runs that take longer are warned about."""
_TIMED_STEPS = 3
"""The first step is left out: it waits for the first images."""


class SlowRunWarning:
    """Times the first steps of a command.

    Args:
        steps: Steps that the run has left.
        epochs: Passes over the images that it has left.
        faster: Keys to type for faster steps, such as "px=128"; "" if there are none.
    """

    def __init__(self, *, steps: int, epochs: float, faster: str) -> None:
        self._steps, self._epochs, self._faster = steps, epochs, faster
        self._timed = -1
        self._started = 0.0

    def step_done(self) -> str | None:
        """To be called after each step; gives the warning once, if there is one."""
        self._timed += 1
        if self._timed == 0:
            self._started = time.perf_counter()
        if self._timed != _TIMED_STEPS:
            return None
        return self.text((time.perf_counter() - self._started) / _TIMED_STEPS)

    def text(self, seconds_per_step: float) -> str | None:
        """The warning, with seconds of one step; None for a run that is short enough."""
        hours = seconds_per_step * self._steps / 3600
        if hours * 3600 < LONG_S:
            return None
        shorter = self._epochs / hours
        length = f"epochs={math.floor(shorter)}" if shorter >= 1 else f"steps={math.floor(self._steps / hours)}"
        keys = " or ".join(filter(None, (f"{length} (about an hour)", self._faster)))
        return (
            f"on this CPU the run takes about {_duration(hours)}, {seconds_per_step:.3g} s a step; "
            f"for less: Ctrl-C, then the same command with another out= and {keys}; a GPU is many times faster"
        )


def _duration(hours: float) -> str:
    return f"{hours:.0f} hours" if hours >= 1.5 else f"{60 * hours:.0f} minutes"
