"""Which query stands for which object: the pairs that cost the least together (Carion et al., 2020)."""

from collections.abc import Sequence
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fastitpn.tasks.detr.boxes import generalized_iou

Pairs = tuple[Tensor, Tensor]
"""Queries and their objects in one image, int64 [n] each."""
_ALPHA, _GAMMA, _LEAST = 0.25, 2.0, 1e-8


def class_cost(logits: Tensor, labels: Tensor) -> Tensor:
    """[Q, n]: what focal loss would say, of logits [Q, classes] for objects of these classes."""
    p = logits.sigmoid()[:, labels]
    right = _ALPHA * (1 - p) ** _GAMMA * -(p + _LEAST).log()
    return right - (1 - _ALPHA) * p**_GAMMA * -(1 - p + _LEAST).log()


def box_cost(boxes: Tensor, targets: Tensor, *, l1: float = 5.0, giou: float = 2.0) -> Tensor:
    """[Q, n]: weighted sum of differences, minus generalised IoU, of boxes [Q, 4] and objects [n, 4]."""
    return l1 * torch.cdist(boxes, targets, p=1) - giou * generalized_iou(boxes[:, None], targets)


def cheapest_pairs(cost: Tensor) -> Pairs:
    """The cheapest way to give each object a query of its own, in the order of the queries.

    Args:
        cost: [Q, n]. With more objects than queries some objects stay without.
    """
    rows, columns = linear_sum_assignment(cost.detach().float().cpu().numpy())
    return torch.as_tensor(rows, device=cost.device), torch.as_tensor(columns, device=cost.device)


def select(of_images: Tensor | Sequence[Any], pairs: Sequence[Pairs], side: int) -> Tensor:
    """What belongs to all pairs, image after image: of queries (side 0) [B, Q, ...], or of objects (side 1)."""
    return torch.cat([part[pair[side]] for part, pair in zip(of_images, pairs, strict=True)])
