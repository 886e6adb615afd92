"""Confidence intervals: Wilson's by the book, bootstrap and jackknife of a mean against its standard error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pytest

from fastitpn.tasks.evaluation import Evaluation
from fastitpn.tasks.intervals import FEW_IMAGES, interval_of
from fastitpn.training.metric import Metric

METRIC = Metric(name="score", title="Score", unit="%")
DISTANCE = Metric(name="score", title="Distance", unit="m", higher_is_better=False)
VALUES = np.random.default_rng(0).normal(50, 10, 200)


@dataclass(frozen=True, kw_only=True)
class Mean(Evaluation):
    """The mean of a value of each image."""

    values: Sequence[float]
    right: int | None = None

    def right_answers(self) -> int | None:
        return self.right

    def of_images(self, places: Sequence[int]) -> float | None:
        return float(np.mean([self.values[place] for place in places])) if len(self.values) else None


class ByGroups(Mean):
    resampled: ClassVar[Literal["images", "groups"]] = "groups"


def evaluation(kind=Mean, values=VALUES, **more) -> Mean:
    keys = {"num_images": len(values), "values": list(values), **more}
    return kind(metrics={"score": 50.0}, **keys)


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [(5, 6, 43.65, 96.99), (0, 10, 0.0, 27.75), (10, 10, 72.25, 100.0), (81, 263, 25.53, 36.62)],
)
def test_wilson_by_the_book(right, images, low, high):
    interval = interval_of(evaluation(values=[], num_images=images, right=right), [METRIC])
    assert (interval.low, interval.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert interval.method == "Wilson"


@pytest.mark.parametrize(("kind", "method"), [(Mean, "bootstrap"), (ByGroups, "jackknife")])
def test_a_mean_has_the_interval_of_its_standard_error(kind, method):
    interval = interval_of(evaluation(kind), [METRIC])
    error = VALUES.std(ddof=1) / math.sqrt(len(VALUES))
    assert (interval.low + interval.high) / 2 == pytest.approx(VALUES.mean(), abs=0.3)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.6 if kind is ByGroups else 0.1)
    assert method in interval.method
    assert interval == interval_of(evaluation(kind), [METRIC])  # the same each time
    assert f"95 % confidence interval {interval.low:.1f} to {interval.high:.1f}" in interval.line()


def test_percent_stays_between_0_and_100_and_other_units_do_not():
    values = [150.0 + value for value in range(8)]
    assert interval_of(evaluation(ByGroups, values), [METRIC]).high == 100
    assert interval_of(evaluation(ByGroups, values), [DISTANCE]).high > 150


@pytest.mark.parametrize(
    "of",
    [
        evaluation(values=[1.0] * FEW_IMAGES),
        evaluation(values=[1.0, 2.0]),
        evaluation(values=[math.nan] * 9),
        evaluation(values=[], num_images=9),
        evaluation(values=[], num_images=0, right=0),
    ],
    ids=["many", "two", "nan", "unknown", "none"],
)
def test_nothing_is_said(of):
    assert interval_of(of, [METRIC]) is None
    assert interval_of(evaluation(), [Metric(name="other", title="Other")]) is None
