"""How sure a metric is that was measured on few images: confidence intervals."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy.stats import binomtest, t

from fastitpn.tasks.evaluation import Evaluation
from fastitpn.training.metric import PERCENT, Metric

LEVEL = 0.95
FEW_IMAGES = 1000
"""Below so many images an interval is computed and shown."""
SAMPLES, GROUPS = 500, 10
"""Samples of the bootstrap, and groups of the jackknife."""
_FEWEST = 5
"""Of fewer images nothing is said but for a share of right answers."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a metric would lie on other images like these.

    Attributes:
        metric: Name of the metric.
        title: Heading of the metric.
        low: Lower bound, in the metric's unit.
        high: Upper bound.
        method: How it was computed.
        images: How many images it rests on.
    """

    metric: str
    title: str
    low: float
    high: float
    method: str
    images: int

    def line(self) -> str:
        """A sentence for the console."""
        words = f"{self.title}: 95 % confidence interval {self.low:.1f} to {self.high:.1f}"
        return f"{words}, since there are only {self.images:,} images ({self.method})"

    def headline(self) -> tuple[str, str, str]:
        """For the top of a report."""
        return (
            f"95 % interval of {self.title}",
            f"{self.low:.1f} to {self.high:.1f}",
            f"{self.method}, {self.images:,} images",
        )

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {"level": LEVEL, **asdict(self)}


def interval_of(evaluation: Evaluation, metrics: Sequence[Metric]) -> Interval | None:
    """The interval of a task's first metric; None for many images, or if it cannot be told.

    Args:
        evaluation: On few or many images.
        metrics: Those of the task; of the first that was measured `Evaluation.of_images` tells.
    """
    count, measured = evaluation.num_images, [metric for metric in metrics if metric.name in evaluation.metrics]
    if not 0 < count < FEW_IMAGES or not measured:
        return None
    metric = measured[0]
    if (right := evaluation.right_answers()) is not None:
        share = binomtest(right, count).proportion_ci(LEVEL, method="wilson")
        bounds, method = (100 * share.low, 100 * share.high), "Wilson"
    else:
        if count < _FEWEST or evaluation.of_images(range(count)) is None:
            return None
        groups = evaluation.resampled == "groups"
        bounds = _jackknife(evaluation, count) if groups else _bootstrap(evaluation, count)
        method = (
            f"jackknife over {GROUPS} groups of images" if groups else f"bootstrap, {SAMPLES} samples of the images"
        )
    if not all(map(math.isfinite, bounds)):
        return None
    low, high = (min(max(bound, 0.0), 100.0) if metric.unit == PERCENT else bound for bound in bounds)
    return Interval(metric=metric.name, title=metric.title, low=low, high=high, method=method, images=count)


def _bootstrap(evaluation: Evaluation, count: int) -> tuple[float, float]:
    """Percentiles over samples of the images."""
    draw = random.Random(0)
    values = [evaluation.of_images(draw.choices(range(count), k=count)) for _ in range(SAMPLES)]
    finite = sorted(value for value in values if value is not None and math.isfinite(value))
    if len(finite) < SAMPLES // 2:
        return math.nan, math.nan
    tail = round((1 - LEVEL) / 2 * len(finite))
    return finite[tail], finite[-1 - tail]


def _jackknife(evaluation: Evaluation, count: int) -> tuple[float, float]:
    """The metric without each group of the images, for metrics that take long or know each image only once."""
    order = random.Random(0).sample(range(count), count)
    number = min(GROUPS, count)
    values = []
    for group in range(number):
        left_out = set(order[group::number])
        value = evaluation.of_images([place for place in range(count) if place not in left_out])
        if value is None or not math.isfinite(value):
            return math.nan, math.nan
        values.append(value)
    whole = evaluation.of_images(range(count))
    assert whole is not None
    error = math.sqrt((number - 1) ** 2 / number * statistics.variance(values))
    half = float(t.ppf((1 + LEVEL) / 2, number - 1)) * error
    return whole - half, whole + half
