"""From MaskDINO's queries to instances and to scores of classes, as published."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]
TEMPERATURE = 0.06
"""Sharpens probabilities of classes that are not one of another, so that they can be compared and summed."""
_LEAST_AREA = 1e-6


class Instances(NamedTuple):
    """The best pairs of query and class of images, in the order of the class's score."""

    scores: Tensor
    """float32 [B, n]: score of the class times the mean probability inside of the mask."""
    labels: Tensor
    """int64 [B, n]."""
    queries: Tensor
    """int64 [B, n]."""


def class_probabilities(logits: Tensor, *, no_object: bool) -> Tensor:
    """Probabilities [..., classes] of queries.

    Args:
        logits: [..., classes], with one more where they tell no object.
        no_object: Whether they do.
    """
    if no_object:
        return logits.softmax(-1)[..., :-1]
    return (logits.sigmoid() / TEMPERATURE).softmax(-1)


def semantic_scores(logits: Tensor, masks: Tensor, *, no_object: bool) -> Tensor:
    """Scores [..., classes, h, w]: the sum over queries of class probability times mask probability.

    Args:
        logits: See `class_probabilities`, [..., Q, classes].
        masks: Logits [..., Q, h, w].
        no_object: See `class_probabilities`.
    """
    classes = class_probabilities(logits, no_object=no_object)
    return torch.einsum("...qc,...qhw->...chw", classes, masks.sigmoid())


def instances(logits: Tensor, masks: Tensor, count: int) -> Instances:
    """The best pairs of query and class.

    Args:
        logits: [B, Q, classes].
        masks: Logits [B, Q, h, w], the images alone.
        count: Pairs of an image at most.
    """
    num_classes = logits.shape[-1]
    scores, places = logits.sigmoid().flatten(1).topk(min(count, logits.shape[1] * num_classes), 1)
    queries = places // num_classes
    there = masks > 0
    sure = (masks.sigmoid() * there).sum((2, 3)) / (there.sum((2, 3)) + _LEAST_AREA)
    return Instances(scores * sure.gather(1, queries), places % num_classes, queries)


def resize_masks(masks: Tensor, canvas: Size, size: Size, wanted: Size) -> Tensor:
    """Logits of masks [Q, h, w] of a whole canvas to the image in its upper left corner, at another size.

    Args:
        masks: Logits.
        canvas: Height and width of the canvas in pixels.
        size: Height and width of the image inside of it in pixels.
        wanted: Height and width of the masks that are asked for, in pixels.
    """
    full = F.interpolate(masks[None], size=canvas, mode="bilinear")[..., : size[0], : size[1]]
    return F.interpolate(full, size=wanted, mode="bilinear")[0]
