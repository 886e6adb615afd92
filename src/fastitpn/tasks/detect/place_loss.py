"""What the scorers of tokens learn of detection: which classes have a box at each place, from a query each."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def place_loss(predicted: Tensor, images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """Binary cross entropy of what the queries say of the classes whose boxes reach into their places.

    Args:
        predicted: [B, rows * rows, classes]: queries in raster order over the image that all are padded to.
        images: [3, H, W] each.
        targets: `boxes` [n, 4], corners in pixels, and `labels` [n] of each image.
    """
    rows, classes = math.isqrt(predicted.shape[1]), predicted.shape[2]
    height, width = (max(image.shape[side] for image in images) for side in (1, 2))
    wanted = predicted.new_zeros(len(images), classes, rows, rows, dtype=torch.float32)
    place = torch.arange(rows, device=predicted.device)
    for present, target in zip(wanted, targets, strict=True):
        left, top, right, bottom = (target["boxes"] * rows / target["boxes"].new_tensor([width, height] * 2)).unbind(1)
        across = (place + 1 > left[:, None]) & (place < right[:, None])  # [n, rows]
        down = (place + 1 > top[:, None]) & (place < bottom[:, None])
        for label, box in zip(target["labels"].tolist(), down[:, :, None] & across[:, None], strict=True):
            present[label] = torch.maximum(present[label], box.float())
    return F.binary_cross_entropy_with_logits(predicted.float(), wanted.flatten(2).transpose(1, 2))
