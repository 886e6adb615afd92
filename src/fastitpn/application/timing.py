"""How long a prediction takes with an acceleration, and without."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.models.backbone import FastITPN

_BUDGET_S, _MOST_S = 0.8, 3.0
"""Time to spend; up to the second for three rounds at least."""
_MOST_ROUNDS = 9


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Medians over rounds in which both took turns.

    Attributes:
        ms: Milliseconds of one prediction, without reading and resizing the image.
        plain_ms: Milliseconds of it with the plain model; equal to `ms` where that is what runs.
        rounds: Number of rounds.
    """

    ms: float
    plain_ms: float
    rounds: int

    @property
    def ratio(self) -> float:
        """How many times as fast as the plain model."""
        return self.plain_ms / self.ms


def timed(run: Callable[[], Any], backbone: FastITPN | None, acceleration: Acceleration) -> tuple[Any, Timing]:
    """Predict, and measure. The model keeps the acceleration.

    Args:
        run: Predicts once and returns the prediction.
        backbone: The `FastITPN` within the model, whose acceleration is switched; None for a graph that has one.
        acceleration: What to compare with the plain model.

    Returns:
        The prediction with the acceleration, and the time.

    Raises:
        InputError: The acceleration does not fit the model.
    """
    rivals = [acceleration] if acceleration.off or backbone is None else [PRESETS["off"], acceleration]
    times: list[list[float]] = [[] for _ in rivals]
    started = time.perf_counter()
    result = None
    for number in range(_MOST_ROUNDS + 1):
        if number == 1:
            started = time.perf_counter()  # the first round warms up
        elif number > 1 and time.perf_counter() - started > (_BUDGET_S if number > 3 else _MOST_S):
            break
        for rival, row in zip(rivals, times, strict=True):
            if backbone is not None:
                backbone.set_acceleration(rival)
            before = time.perf_counter()
            result = run()
            row.append(1e3 * (time.perf_counter() - before))
    medians = [median(row[1:]) for row in times]
    return result, Timing(ms=medians[-1], plain_ms=medians[0], rounds=len(times[0]) - 1)
