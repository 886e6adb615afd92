"""What the scorers of tokens learn of segmentation: the class of each patch, from a query each (Token Cropr)."""

import math

import torch
from torch import Tensor

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS


def patch_loss(predicted: Tensor, masks: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross entropy of what the queries say of the pixels of their patches.

    Args:
        predicted: [B, rows * rows, classes]: queries in raster order over the image.
        masks: [B, H, W], labels or codes of segments; pixels to ignore do not count.
        class_weights: [classes], of each class in the loss; None for no weights.

    Returns:
        The mean over all pixels that count.
    """
    batch, queries, classes = predicted.shape
    (height, width), rows = masks.shape[1:], math.isqrt(queries)
    labels = (masks & LABEL_BITS).long()
    down, across = (torch.arange(side, device=masks.device) * rows // side for side in (height, width))
    query = torch.arange(batch, device=masks.device)[:, None, None] * queries + down[:, None] * rows + across
    counted = labels != IGNORE
    pixels = torch.bincount((query * classes + labels)[counted], minlength=predicted.numel()).view_as(predicted).float()
    if class_weights is not None:
        pixels = pixels * class_weights
    return -(pixels * predicted.float().log_softmax(-1)).sum() / pixels.sum().clamp(min=1)
