"""Whether two lists of detections are the same ones, in whatever order those of like scores stand."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

SAME = 0.05
"""Detections of a class are one and the same if no side of their boxes, in shares of the image, and no score is farther
apart; how far they are is measured beside it."""
_OTHER = 2.0
"""Farther apart than any two detections can be."""


def compare_detections(given: list[Tensor], expected: list[Tensor], near: float) -> tuple[float, int, int]:
    """Detections of a file and of its model, matched one to one.

    The model's last ones are left out if the file may have others of the same score in their place.

    Args:
        given: Of the file: boxes [B, n, 4] in shares of the image, scores [B, n], classes [B, n], and perhaps masks
            [B, n, m, m] as probabilities.
        expected: Boxes, scores, classes and perhaps masks of the model, perhaps with another n.
        near: Scores that are no farther apart are the same.

    Returns:
        The largest difference of a coordinate, a score or a mask among detections that are the same, nan if the file
        gives numbers that are none; how many are the same, and of how many.
    """
    worst, same, number = 0.0, 0, 0
    for image in range(len(expected[0])):
        ours, theirs = [part[image] for part in expected], [part[image] for part in given]
        if not all(part.isfinite().all() for part in theirs):
            return float("nan"), 0, expected[1].numel()
        apart = _apart(ours, theirs)
        rows, columns = map(torch.as_tensor, linear_sum_assignment(apart.clamp(max=_OTHER).numpy()))
        pairs = apart[rows, columns]
        as_many = len(ours[1]) == len(theirs[1]) > 0
        counted = ours[1] > (theirs[1].min() + near if as_many else -1.0)
        alike = counted[rows] & (pairs <= SAME)
        for mine, other in zip(ours[3:], theirs[3:], strict=True):
            pairs = torch.maximum(pairs, (mine[rows] - other[columns]).abs().flatten(1).amax(1))
        worst = max(worst, float(pairs[alike].max()) if alike.any() else 0.0)
        same, number = same + int(alike.sum()), number + int(counted.sum())
    return worst, same, number


def agreement_of_detections(given: list[Tensor], expected: list[Tensor], least: float) -> tuple[int, int]:
    """Detections with a score of at least `least` of two lists of one image, matched one to one.

    Args:
        given: As `compare_detections` takes them, of one image.
        expected: The other list.
        least: Less sure ones do not count.

    Returns:
        How many of both lists have a partner of the same class whose sides are within `SAME` of theirs, in shares of
        the image; and how many both have.
    """
    ours, theirs = ([part[0][of[1][0] >= least] for part in of[:3]] for of in (expected, given))
    number = len(ours[0]) + len(theirs[0])
    apart = _apart([ours[0], torch.zeros(len(ours[0])), ours[2]], [theirs[0], torch.zeros(len(theirs[0])), theirs[2]])
    rows, columns = map(torch.as_tensor, linear_sum_assignment(apart.clamp(max=_OTHER).numpy()))
    return 2 * int((apart[rows, columns] <= SAME).sum()), number


def _apart(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """[n, m], the largest difference of a coordinate or score; `_OTHER` where the class is another."""
    (boxes, scores, classes), (own_boxes, own_scores, own_classes) = ours[:3], theirs[:3]
    sides = (boxes[:, None] - own_boxes).abs().amax(-1)
    apart = torch.maximum(sides, (scores[:, None] - own_scores).abs())
    return apart.where(classes[:, None] == own_classes, torch.tensor(_OTHER))
