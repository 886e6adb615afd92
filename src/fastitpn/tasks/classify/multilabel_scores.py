"""How good scores of several labels are: average precision and F1 of each class, and the thresholds that suit it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.tasks.classify.metrics import F1, MEAN_AP
from fastitpn.training.metric import LOSS

MIDDLE = 0.5
"""The threshold of a class of which nothing is known."""


def average_precision(scores: Tensor, truth: Tensor) -> Tensor:
    """Area below each class's curve of precision over recall, without interpolation: the mean precision at its images.

    Images of equal scores count together.

    Args:
        scores: [n, classes], the higher the likelier.
        truth: [n, classes], 1 where an image has a label.

    Returns:
        [classes] float64 in [0, 1]; nan for a class that no image has.
    """
    _, there, hits, last = _ranked(scores, truth)
    precision = hits / torch.arange(1, len(hits) + 1, dtype=hits.dtype)[:, None]
    return (precision.gather(0, last) * there).sum(0) / there.sum(0)


def best_thresholds(scores: Tensor, truth: Tensor) -> Tensor:
    """The threshold of each class at which its F1 is highest: half-way between two scores, the higher one of equals.

    Args:
        scores: [n, classes], probabilities.
        truth: [n, classes], 1 where an image has a label.

    Returns:
        [classes] float64; `MIDDLE` for a class that no image has.
    """
    ranked, there, hits, last = _ranked(scores, truth)
    f1 = 2 * hits.gather(0, last) / (last + 1 + there.sum(0))
    best = last.gather(0, f1.argmax(0, keepdim=True))
    below = torch.cat([ranked, torch.zeros_like(ranked[:1])])
    middle = (ranked.gather(0, best) + below.gather(0, best + 1))[0] / 2
    return middle.where(there.any(0), MIDDLE)


def precision_recall(scores: Tensor, truth: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Each class's curve of precision over recall, a point for each score that an image has, from the highest down.

    Args:
        scores: [n, classes], the higher the likelier.
        truth: [n, classes], 1 where an image has a label.

    Returns:
        Scores, recall and precision of each class, float64; nan recall for a class that no image has.
    """
    ranked, there, hits, last = _ranked(scores, truth)
    places = torch.arange(len(ranked), dtype=hits.dtype)[:, None]
    ends = last == places  # the last of each score: images of equal scores count together
    precision, recall = hits / (places + 1), hits / there.sum(0)
    return [(ranked[ends[:, k], k], recall[ends[:, k], k], precision[ends[:, k], k]) for k in range(ranked.shape[1])]


def choice_scores(chosen: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Precision, recall and F1 of each class, [classes] float64 in [0, 1].

    Args:
        chosen: bool [n, classes], what was predicted.
        truth: [n, classes], 1 where an image has a label.

    Returns:
        nan where there is nothing to divide by; recall and F1 of a class that no image has are nan.
    """
    there, called = truth.double().sum(0), chosen.double().sum(0)
    hits = (chosen & (truth > 0)).double().sum(0)
    return hits / called, hits / there, (2 * hits / (called + there)).where(there > 0, torch.nan)


def multilabel_scores(logits: Tensor, truth: Tensor, thresholds: Tensor) -> dict[str, float]:
    """Binary cross entropy, and the means over the classes of average precision and of F1, in percent.

    Args:
        logits: [n, classes].
        truth: [n, classes], 1 where an image has a label.
        thresholds: [classes] probabilities from which on an image has a label.
    """
    scores = probabilities(logits)
    _, _, f1 = choice_scores(scores >= thresholds, truth)
    return {
        LOSS.name: F.binary_cross_entropy_with_logits(logits.float(), truth.float()).item(),
        MEAN_AP.name: 100 * average_precision(scores, truth).nanmean().item(),
        F1.name: 100 * f1.nanmean().item(),
    }


def probabilities(logits: Tensor) -> Tensor:
    """Of each label by itself, float64, on the CPU: that what is compared with a threshold is always the same."""
    return logits.float().cpu().sigmoid().double()


def _ranked(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Per class from the highest score down: scores, truth, true ones so far, and the last place of the same score."""
    ranked, order = scores.double().sort(dim=0, descending=True)
    there = truth.double().gather(0, order)
    ends = torch.cat([ranked[1:] != ranked[:-1], torch.ones_like(ranked[:1], dtype=torch.bool)])
    places = torch.arange(len(ranked))[:, None].where(ends, len(ranked) - 1)
    return ranked, there, there.cumsum(0), places.flip(0).cummin(0).values.flip(0)
