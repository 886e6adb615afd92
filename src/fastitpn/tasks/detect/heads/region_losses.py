"""What regions cost: their class and their box. Two forms of the boxes' part: of the numbers, or of the boxes."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import generalized_box_iou_loss

_GIOU_WEIGHT = 10.0


def region_losses(
    logits: Tensor,
    deltas: Tensor,
    labels: list[Tensor],
    goals: list[Tensor],
    proposals: list[Tensor],
    coder: BoxCoder,
    box_loss: str,
) -> tuple[Tensor, Tensor]:
    """The loss of the classes and that of the boxes, both as means over all regions.

    Args:
        logits: [n, classes], the background first.
        deltas: [n, 4 * classes], what moves a region to the box of each class.
        labels: int64 [n] of each image, 0 the background.
        goals: [n, 4] of each image, what `deltas` should be.
        proposals: [n, 4] of each image, the regions in pixels.
        coder: What the goals were made with.
        box_loss: "smooth_l1" or "giou"; the latter is published for iTPN, ten times.
    """
    if box_loss == "smooth_l1":
        return fastrcnn_loss(logits, deltas, labels, goals)
    classes, regions = torch.cat(labels), torch.cat(proposals)
    place = torch.where(classes > 0)[0]
    moves = deltas.reshape(len(classes), -1, 4)[place, classes[place]]
    boxes = coder.decode_single(moves, regions[place])
    true = coder.decode_single(torch.cat(goals)[place], regions[place])
    parts = generalized_box_iou_loss(boxes, true, reduction="sum")
    return F.cross_entropy(logits, classes), _GIOU_WEIGHT * parts / max(1, len(classes))


def proposal_losses(
    objectness: Tensor, deltas: Tensor, labels: Tensor, goals: Tensor, positive: Tensor, negative: Tensor
) -> tuple[Tensor, Tensor]:
    """Losses of the region proposals with L1 for boxes, as published for iTPN.

    Args:
        objectness: [n], logits of all anchors.
        deltas: [n, 4], what moves an anchor.
        labels: [n], 1 where something is.
        goals: [n, 4], what `deltas` should be.
        positive: Numbers of the sampled anchors on things.
        negative: Numbers of the others.
    """
    sampled = torch.cat([positive, negative])
    box_loss = F.l1_loss(deltas[positive], goals[positive], reduction="sum") / max(1, sampled.numel())
    return F.binary_cross_entropy_with_logits(objectness[sampled], labels[sampled]), box_loss
