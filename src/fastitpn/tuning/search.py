"""Successive halving: many settings on few images, the best of them on more, and the last ones on all.

Speed is measured first, since it costs least; settings that are hardly faster go no further. Then all that are left
are measured on a ninth of the images, the better third of them on a third, and the better third of those on all. While
there is time this starts again, with the neighbours of the best and with settings that were not tried yet.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.tasks.evaluation import Evaluation
from fastitpn.tuning.loss import Loss
from fastitpn.tuning.measured import Measured, Row, pareto
from fastitpn.tuning.space import Space
from fastitpn.tuning.speed import Speedometer

T = TypeVar("T")

KEPT = 3
"""One of so many goes on to so many times the images."""
FEWEST_IMAGES = 12
FEWEST_ON_ALL, MOST_ON_ALL = 2, 8
"""Settings that come through to all images at a time."""
TOGETHER = 8
"""Settings whose speed is measured in one go."""
QUICK_S = 0.25
"""Seconds for the speed of each setting while searching."""
WORTH_IT = 1.05
"""Settings must be so many times as fast to go further; whether a gain is more than noise is measured at the end."""
SPEED_SHARE = 0.4
"""Of the time that is left, for speeds, at most."""
MOST_BRACKETS = 12


class Examiner(Protocol):
    """Measures quality: `quality.Quality`."""

    num_images: int

    def plain(self, count: int) -> Evaluation:
        """The plain model's evaluation on the first images."""

    def loss(self, setting: Acceleration, count: int) -> Loss:
        """What a setting loses on them."""


class Budget:
    """Time.

    Args:
        seconds: All of it.
        spent: What earlier commands used up.
        clock: Seconds of a clock.
    """

    def __init__(self, seconds: float, spent: float = 0.0, clock: Callable[[], float] = time.monotonic):
        self._clock, self._began = clock, clock() - spent
        self.seconds = seconds

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    @property
    def left(self) -> float:
        """Seconds to the end; below 0 after it."""
        return self.seconds - self.spent


class Search:
    """The search.

    Args:
        space: What there is to try.
        speed: Measures how fast a setting is.
        quality: Measures what it loses.
        measured: What is known already, and gets what is measured.
        budget: All must be done by its end.
        max_loss: Points that may be lost: settings near to that are the ones that matter.
        trying: Is told what is measured next.
    """

    def __init__(
        self,
        space: Space,
        speed: Speedometer,
        quality: Examiner,
        measured: Measured,
        budget: Budget,
        max_loss: float,
        trying: Callable[[str], object] = lambda text: None,
    ):
        self._space, self._speed, self._quality = space, speed, quality
        self._measured, self._budget, self._max_loss, self._trying = measured, budget, max_loss, trying
        self._seconds_per_image = 0.0
        self._seconds_per_speed = 0.0
        self.images = quality.num_images
        """All images, or as many as the time suffices for."""

    @property
    def finalists(self) -> list[Row]:
        """The settings that were measured on all images, and are faster."""
        return [row for row in self._measured if row.measured_on(self.images) and row.ratio > WORTH_IT]

    def run(self) -> None:
        """Search until the time is over, or nothing is left to try."""
        known = max((row.loss.images for row in self._measured if row.loss is not None), default=0)
        if known and self._budget.left <= 0:  # an earlier command used up the time
            self.images = known
            return
        first = min(FEWEST_IMAGES, self._quality.num_images)
        self._timed(first, lambda: self._quality.plain(first))
        self._faster(self._space.settings[:1])
        affordable = 0.7 * self._budget.left / max(self._seconds_per_image, 1e-9) / (1 + 3 * FEWEST_ON_ALL)
        self.images = max(first, min(self._quality.num_images, int(affordable)))
        self.images = max(self.images, known)
        untried = iter([setting for setting in self._space.settings if not self._measured[setting].loss])
        for number in range(MOST_BRACKETS):
            if not self._bracket(number, untried):
                return

    def _counts(self) -> list[int]:
        """Images of the rounds of a bracket, the last of which has all."""
        shares = [math.ceil(self.images / KEPT**power) for power in (2, 1)]
        return [*dict.fromkeys(max(FEWEST_IMAGES, share) for share in shares if share < self.images), self.images]

    def _bracket(self, number: int, untried: Iterator[Acceleration]) -> bool:
        """Try some settings; whether it makes sense to go on after that."""
        counts = [count for count in self._counts() if count <= self.images]
        each = len(counts) * self.images * self._seconds_per_image + KEPT ** (len(counts) - 1) * self._seconds_per_speed
        share = 0.6 if number == 0 else 1.0
        survivors = min(MOST_ON_ALL, int(share * self._budget.left / max(each, 1e-9)))
        if survivors < FEWEST_ON_ALL and number > 0:
            return False
        wanted = max(FEWEST_ON_ALL, survivors) * KEPT ** (len(counts) - 1)
        if self._seconds_per_speed:
            most = int(SPEED_SHARE * self._budget.left / self._seconds_per_speed)
            wanted = min(wanted, max(FEWEST_ON_ALL, most))
        settings = self._near_the_best()[: wanted // 2] if number > 0 else []
        settings += [setting for setting in untried_first(untried, wanted - len(settings)) if setting not in settings]
        if not settings:
            return False
        rows = self._faster(settings)
        for count in counts:
            rows = self._on_images(rows, count)
            rows = self._best(rows, count)
        return self._budget.left > 0

    def _near_the_best(self) -> list[Acceleration]:
        """Untried neighbours of the settings that lose about as much as may be lost, the nearest first."""
        front = sorted(pareto(self.finalists), key=self._distance)
        near = [setting for row in front for setting in self._space.neighbours(row.setting)]
        return [setting for setting in dict.fromkeys(near) if self._measured[setting].loss is None]

    def _faster(self, settings: Sequence[Acceleration]) -> list[Row]:
        """Those of the settings that are faster than the plain model."""
        unknown = [setting for setting in settings if self._measured[setting].speed is None]
        while unknown:
            together = TOGETHER if self._seconds_per_speed else 1  # the first one tells how long it takes
            chosen, unknown = unknown[:together], unknown[together:]
            if self._budget.left < self._seconds_per_speed * (len(chosen) + 1):
                break
            self._trying(f"speed of {len(chosen)} settings")
            began = self._budget.spent
            speeds = self._speed.measure(chosen, QUICK_S)
            self._seconds_per_speed = (self._budget.spent - began) / (len(chosen) + 1)
            self._measured.seconds = self._budget.spent
            for setting, speed in zip(chosen, speeds, strict=True):
                self._measured.keep(setting, speed=speed)
        rows = [self._measured[setting] for setting in settings]
        return [row for row in rows if row.ratio > WORTH_IT]

    def _on_images(self, rows: Sequence[Row], count: int) -> list[Row]:
        """The rows with what they lose on so many images; without those for which there is no time."""
        done = [row for row in rows if row.measured_on(count)]
        for row in (row for row in rows if not row.measured_on(count)):
            if self._budget.left < 1.1 * count * self._seconds_per_image:
                break
            self._trying(f"{row.setting.describe().removeprefix('tuned: ')} on {count} images")
            self._quality.plain(count)
            loss = self._timed(count, lambda setting=row.setting: self._quality.loss(setting, count))  # type: ignore[misc]
            done.append(self._measured.keep(row.setting, loss=loss))
        return done

    def _timed(self, count: int, measure: Callable[[], T]) -> T:
        began = self._budget.spent
        result = measure()
        self._seconds_per_image = (self._budget.spent - began) / count
        self._measured.seconds = self._budget.spent
        return result

    def _distance(self, row: Row) -> float:
        return abs(row.points - self._max_loss)

    def _best(self, rows: list[Row], count: int) -> list[Row]:
        """The better third: those that no other dominates first, of them those that lose about what may be lost."""
        kept: list[Row] = []
        wanted = max(FEWEST_ON_ALL, math.ceil(len(rows) / KEPT))
        while rows and len(kept) < wanted:
            front = sorted(pareto(rows), key=self._distance)
            kept += front
            rows = [row for row in rows if row not in front]
        return kept[:wanted]


def untried_first(untried: Iterator[Acceleration], count: int) -> list[Acceleration]:
    """So many more settings, or what is left of them."""
    return [setting for _, setting in zip(range(count), untried, strict=False)]
