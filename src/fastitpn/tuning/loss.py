"""What a setting loses, with an interval from images that both models saw (the paired bootstrap).

Of a metric that is quick to compute from what each image contributes (accuracy, mean AP, mean IoU, PQ), samples of the
images are drawn with replacement, the same ones for both models, and the interval is that of the difference. COCO's AP
is too slow for that: there the images are dealt into groups, the difference is measured in each, and the interval is
that of the mean of the groups, moved to the difference over all images. Both are of 90 %.
"""

import dataclasses
import math

import numpy as np

from fastitpn.tasks.evaluation import Evaluation
from fastitpn.training.metric import Metric

SAMPLES = 300
GROUPS = 10
FEWEST_IN_GROUP = 2
CONFIDENCE = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """How much worse a setting is than the plain model, in points of the task's first metric; below 0: better."""

    images: int
    """On how many images."""
    value: float
    """The metric with the setting."""
    points: float
    low: float | None
    """The interval; None where the evaluations of a task do not say what each image contributes."""
    high: float | None

    def describe(self, metric: Metric) -> str:
        """For people."""
        interval = "" if self.low is None or self.high is None else f" ({self.low:.2f} to {self.high:.2f})"
        return f"{self.points:.2f}{interval} points of {metric.label} on {self.images} images"


def paired_loss(plain: Evaluation, other: Evaluation, metric: Metric, *, seed: int) -> Loss:
    """What was lost from one evaluation to another of the same images.

    Args:
        plain: What the plain model gets right.
        other: What the model gets right with a setting.
        metric: The task's first one, whose direction counts.
        seed: Decides the samples.
    """
    sign, images = 1 if metric.higher_is_better else -1, plain.num_images
    points = sign * (plain.metrics[metric.name] - other.metrics[metric.name])

    def difference(places: list[int]) -> float:
        before, after = plain.of_images(places), other.of_images(places)
        return math.nan if before is None or after is None else sign * (before - after)

    rng = np.random.default_rng([seed, images])
    if plain.resampled == "groups":
        groups = np.array_split(rng.permutation(images), min(GROUPS, images // FEWEST_IN_GROUP) or 1)
        by_group = np.array([difference(group.tolist()) for group in groups])
        by_group = by_group[np.isfinite(by_group)]
        drawn = rng.choice(by_group, (SAMPLES, len(by_group))).mean(1) if len(by_group) > 1 else by_group[:0]
        drawn = drawn - by_group.mean() + points if drawn.size else drawn
    else:
        enough = range(SAMPLES if math.isfinite(difference(list(range(images)))) else 0)
        drawn = np.array([difference(rng.integers(0, images, images).tolist()) for _ in enough])
        drawn = drawn[np.isfinite(drawn)]
    low = high = None
    if drawn.size:
        low, high = np.quantile(drawn, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)).tolist()
    value = other.metrics[metric.name]
    return Loss(images=images, value=value, points=points, low=low, high=high)
