"""Figures of segmentation, all from one confusion matrix over pixels."""

import torch
from torch import Tensor

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS


def pixel_confusion(predicted: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Counts [classes, classes] of pixels: row is the true class, column the predicted one.

    Args:
        predicted: Labels, of any shape.
        labels: True ones, of the same shape, or codes of segments; those that are `IGNORE` do not count.
        num_classes: Number of classes.
    """
    labels = labels & LABEL_BITS
    counted = labels != IGNORE
    pairs = labels[counted].long() * num_classes + predicted[counted].long()
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_iou(matrix: Tensor) -> Tensor:
    """Intersection over union of each class, float64 [classes]; nan for one that is neither there nor predicted."""
    matrix = matrix.double()
    hits = matrix.diagonal()
    return hits / (matrix.sum(0) + matrix.sum(1) - hits)


def segmentation_scores(matrix: Tensor) -> dict[str, float]:
    """Mean IoU, mean accuracy over the classes, and accuracy over all pixels, in percent.

    Classes that are neither in the masks nor predicted do not count in the first, those not in the masks not in the
    second.
    """
    hits, there = matrix.diagonal().double(), matrix.sum(1).double()
    return {
        "miou": 100 * class_iou(matrix).nanmean().item(),
        "mean_accuracy": 100 * (hits / there).nanmean().item(),
        "pixel_accuracy": 100 * (hits.sum() / there.sum()).item(),
    }
