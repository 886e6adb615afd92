"""Boxes as centre, width and height in shares of the image: how much they overlap."""

import torch
from torch import Tensor
from torchvision.ops import box_convert

_LEAST_AREA = 1e-6
_MOSTLY = 0.5
"""Share of a box in a region from which on it counts as lying in it."""


def generalized_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al., 2019) with the published guard of its denominators, in [-1, 1].

    Args:
        boxes: [..., 4], centre, width and height.
        others: [..., 4], of a shape that broadcasts with it.

    Returns:
        [...].
    """
    first, second = box_convert(boxes, "cxcywh", "xyxy"), box_convert(others, "cxcywh", "xyxy")
    common = _area(torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:]))
    union = _area(first[..., :2], first[..., 2:]) + _area(second[..., :2], second[..., 2:]) - common
    hull = _area(torch.minimum(first[..., :2], second[..., :2]), torch.maximum(first[..., 2:], second[..., 2:]))
    return common / (union + _LEAST_AREA) - (hull - union) / (hull + _LEAST_AREA)


def within(boxes: Tensor, regions: Tensor) -> Tensor:
    """Which boxes [n, 4] lie with more than half of their area in one of the regions [k, 4], as corners: bool [n]."""
    low = torch.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    return (_area(low, high) > _MOSTLY * _area(boxes[:, :2], boxes[:, 2:])[:, None]).any(1)


def _area(low: Tensor, high: Tensor) -> Tensor:
    return (high - low).clamp(min=0).prod(-1)
