"""Calibration: whether a classifier that is 80 % sure is right in 80 % of the cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BINS = 15
"""Bins of equal width, as is usual for the expected calibration error."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Accuracy in bins of the confidence, the probability of the predicted class.

    Attributes:
        bins: `low`, `high`, `images`, `confidence` (mean) and `accuracy` of each bin; the last two are None without
            images.
    """

    bins: Sequence[dict[str, Any]]

    @property
    def error(self) -> float:
        """Expected calibration error in percent: the gap between confidence and accuracy, weighted by images."""
        filled = [row for row in self.bins if row["images"]]
        gaps = sum(row["images"] * abs(row["confidence"] - row["accuracy"]) for row in filled)
        return 100 * gaps / max(1, sum(row["images"] for row in filled))


def calibration(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> Calibration:
    """Bin images by confidence.

    Args:
        probabilities: [n, classes].
        labels: [n] int64, the true classes.
        bins: How many bins; an upper edge belongs to the bin below it.
    """
    confidence, predicted = probabilities.double().max(1)
    right = (predicted == labels).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    place = torch.bucketize(confidence, edges[1:-1])
    rows = []
    for number in range(bins):
        inside = place == number
        count = int(inside.sum())
        rows.append(
            {
                "low": edges[number].item(),
                "high": edges[number + 1].item(),
                "images": count,
                "confidence": confidence[inside].mean().item() if count else None,
                "accuracy": right[inside].mean().item() if count else None,
            }
        )
    return Calibration(bins=rows)
