"""Losses of matched queries, as DINO and MaskDINO have them: classes and boxes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_convert, sigmoid_focal_loss

from fastitpn.tasks.detr.boxes import generalized_iou, within
from fastitpn.tasks.detr.denoising import Targets
from fastitpn.tasks.detr.matching import Pairs, select


def average_count(targets: Targets, device: torch.device) -> Tensor:
    """Objects of a batch, averaged over the processes, at least 1."""
    count = torch.tensor(float(sum(len(target["labels"]) for target in targets)), device=device)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(count)
        count /= torch.distributed.get_world_size()
    return count.clamp(min=1)


def focal_loss(
    logits: Tensor, labels: Sequence[Tensor], pairs: Sequence[Pairs], count: Tensor, counted: Tensor | None = None
) -> Tensor:
    """Focal loss (alpha 0.25, gamma 2) of all queries: matched ones are of the class of their object, others of none.

    Args:
        logits: [B, Q, classes].
        labels: Classes of the objects of each image.
        pairs: Which query stands for which object.
        count: What the sum is divided by.
        counted: bool [B, Q], queries to learn from; None for all.
    """
    truth = torch.zeros_like(logits)
    for of_image, classes, (queries, objects) in zip(truth, labels, pairs, strict=True):
        of_image[queries, classes[objects]] = 1
    if counted is None:
        return sigmoid_focal_loss(logits, truth, reduction="sum") / count
    return (sigmoid_focal_loss(logits, truth).sum(-1) * counted).sum() / count


def box_losses(boxes: Tensor, targets: Targets, pairs: Sequence[Pairs], count: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute differences of centre, width and height, and 1 - generalised IoU; sums over the pairs / `count`.

    Args:
        boxes: [B, Q, 4], as the objects' are.
        targets: Objects of each image.
        pairs: Which query stands for which object.
        count: What the sums are divided by.
    """
    predicted = select(boxes, pairs, 0)
    truth = select([target["boxes"] for target in targets], pairs, 1)
    apart = F.l1_loss(predicted, truth, reduction="sum")
    return apart / count, (1 - generalized_iou(predicted, truth)).sum() / count


@torch.no_grad()
def queries_to_count(boxes: Tensor, targets: Targets, pairs: Sequence[Pairs]) -> Tensor | None:
    """Queries that are learnt from: not those without an object that lie in an ignored region, such as a crowd.

    Args:
        boxes: [B, Q, 4].
        targets: With `ignored` [k, 4] (corners, as shares of the image), where there are such regions.
        pairs: Which query stands for which object.

    Returns:
        bool [B, Q]; None if all are.
    """
    if not any(len(target.get("ignored", ())) for target in targets):
        return None
    counted = torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    for place, (target, (queries, _)) in enumerate(zip(targets, pairs, strict=True)):
        if len(target.get("ignored", ())):
            counted[place] = ~within(box_convert(boxes[place], "cxcywh", "xyxy"), target["ignored"])
            counted[place, queries] = True
    return counted
