"""Measurements that are made up: what a setting's numbers say, in a time that a counter says."""

from collections.abc import Sequence

import numpy as np

from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.tasks.evaluation import Evaluation
from fastitpn.tuning.loss import Loss
from fastitpn.tuning.speed import Speed


def kept(setting: Acceleration) -> float:
    """Share of the tokens that stay to the end."""
    migration = setting.migration
    return 1.0 if migration is None else float(migration.keep_ratio) ** len(migration.after_blocks)


def speed(ratio: float, *, spread: float = 0.01) -> Speed:
    return Speed(ratio=ratio, low=ratio - spread, high=ratio + spread, ms=10 / ratio, rounds=5)


def loss(points: float, images: int = 10, width: float = 0.1) -> Loss:
    return Loss(images=images, value=80 - points, points=points, low=points - width, high=points + width)


class Clock:
    """Seconds that pass when something is measured."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeSpeed:
    """2 - the share of the tokens that stay."""

    def __init__(self, *ignored: object, clock: Clock | None = None) -> None:
        self.clock, self.measured = clock or Clock(), 0

    def prepare(self, setting: Acceleration) -> None:
        pass

    def measure(self, settings: Sequence[Acceleration], seconds: float) -> list[Speed | None]:
        self.measured += len(settings)
        self.clock.now += seconds * (len(settings) + 1)
        return [speed(2 - kept(setting)) for setting in settings]


class FakeQuality:
    """Loses 4 points times the square of the share of the tokens that left; by `mean` twice that."""

    def __init__(self, clock: Clock, num_images: int = 90, image_s: float = 0.01) -> None:
        self.clock, self.num_images, self.image_s = clock, num_images, image_s
        self.counts: list[int] = []

    def plain(self, count: int) -> Evaluation:
        if count not in self.counts:
            self.clock.now += count * self.image_s
        return Evaluation(metrics={"top1": 80.0}, num_images=count)

    def loss(self, setting: Acceleration, count: int) -> Loss:
        self.clock.now += count * self.image_s
        self.counts.append(count)
        by_mean = setting.migration is not None and setting.migration.metric == "mean"
        return loss(4 * (1 - kept(setting)) ** 2 * (2 if by_mean else 1), count)


class ByImage(Evaluation):
    """Right or wrong, image by image."""

    def __init__(self, right: Sequence[bool], resampled: str = "images") -> None:
        super().__init__(metrics={"top1": 100 * float(np.mean(right))}, num_images=len(right))
        object.__setattr__(self, "right", np.asarray(right))
        object.__setattr__(self, "resampled", resampled)

    def of_images(self, places: Sequence[int]) -> float:
        return 100 * float(self.right[list(places)].mean())  # type: ignore[attr-defined]
