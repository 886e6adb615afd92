"""MaskDINO's matching and losses: class, box, and masks at random points."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.tasks.detr.denoising import Denoising, Targets
from fastitpn.tasks.detr.losses import average_count, box_losses, focal_loss, queries_to_count
from fastitpn.tasks.detr.matching import Pairs, box_cost, cheapest_pairs, class_cost, select
from fastitpn.tasks.maskdino.points import Points, sample
from fastitpn.tasks.maskdino.predictor import Predictions

WEIGHTS = {"ce": 4.0, "mask": 5.0, "dice": 5.0, "bbox": 5.0, "giou": 2.0}
"""Weights of the losses, and of the cost of a pair."""
_NO_OBJECT = 0.1


def matching_cost(predictions: Predictions, target: Mapping[str, Tensor], points: Tensor) -> dict[str, Tensor]:
    """What it costs that a query of one image stands for an object, [Q, n] for each part, before it is weighted.

    Args:
        predictions: [Q, ...], of one image.
        target: With `masks` [n, H, W].
        points: [1, P, 2].
    """
    logits, boxes, masks = predictions
    drawn = sample(masks, points.expand(len(masks), -1, -1))
    truth = sample(target["masks"].float(), points.expand(len(target["masks"]), -1, -1))
    agree = F.softplus(-drawn) @ truth.T + F.softplus(drawn) @ (1 - truth).T
    inside = drawn.sigmoid()
    common = 2 * inside @ truth.T + 1
    return {
        "ce": class_cost(logits, target["labels"]),
        "mask": agree / points.shape[1],
        "dice": 1 - common / (inside.sum(1)[:, None] + truth.sum(1) + 1),
        "bbox": box_cost(boxes, target["boxes"], l1=1, giou=0),
        "giou": box_cost(boxes, target["boxes"], l1=0, giou=1),
    }


@torch.no_grad()
def match(predictions: Predictions, targets: Targets, points: Points) -> list[Pairs]:
    """Which query stands for which object, image by image."""
    pairs = []
    for place, target in enumerate(targets):
        of_image = Predictions(*(part[place].float() for part in predictions))
        costs = matching_cost(of_image, target, points.to_match(of_image.boxes.device))
        pairs.append(cheapest_pairs(torch.stack([WEIGHTS[name] * cost for name, cost in costs.items()]).sum(0)))
    return pairs


def mask_losses(masks: Tensor, targets: Targets, pairs: Sequence[Pairs], count: Tensor, points: Points) -> list[Tensor]:
    """Binary cross entropy and dice of the matched masks at random points; sums over the pairs / `count`.

    Args:
        masks: Logits [B, Q, h, w].
        targets: With `masks` [n, H, W].
        pairs: Which query stands for which object.
        count: What the sums are divided by.
        points: Draws the points.
    """
    drawn = select(masks, pairs, 0)
    if len(drawn) == 0:
        return [0 * masks.sum()] * 2
    places = points.to_learn(drawn)
    truth = sample(select([target["masks"] for target in targets], pairs, 1).float(), places)
    logits = sample(drawn, places)
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(1).sum()
    inside = logits.sigmoid()
    dice = 1 - (2 * (inside * truth).sum(1) + 1) / (inside.sum(1) + truth.sum(1) + 1)
    return [entropy / count, dice.sum() / count]


def set_losses(
    predictions: Predictions,
    targets: Targets,
    count: Tensor,
    points: Points,
    *,
    no_object: bool,
    pairs: Sequence[Pairs] | None = None,
) -> dict[str, Tensor]:
    """Losses of one set of queries.

    Args:
        predictions: Classes, boxes and masks of all queries after one layer.
        targets: Objects of each image: labels, boxes and masks [n, H, W] of the whole canvas.
        count: What sums are divided by.
        points: Draws the points.
        no_object: Whether classes are learnt by cross entropy, with one more class of no object.
        pairs: Which query stands for which object; None matches them.
    """
    predictions = Predictions(*(part.float() for part in predictions))
    pairs = match(predictions, targets, points) if pairs is None else pairs
    labels = [target["labels"] for target in targets]
    counted = queries_to_count(predictions.boxes, targets, pairs)
    loss = _cross_entropy(predictions.logits, labels, pairs, counted) if no_object else None
    if loss is None:
        loss = focal_loss(predictions.logits, labels, pairs, count, counted)
    masks = mask_losses(predictions.masks, targets, pairs, count, points)
    boxes = box_losses(predictions.boxes, targets, pairs, count)
    return dict(zip(WEIGHTS, (loss, *masks, *boxes), strict=True))


def all_losses(
    predictions: Sequence[Predictions],
    guesses: Predictions | None,
    denoising: Denoising | None,
    targets: Targets,
    points: Points,
    *,
    no_object: bool,
) -> dict[str, Tensor]:
    """Losses before they are weighted, by the published names: of the last layer, of all before, and of the guesses."""
    count = average_count(targets, predictions[0].boxes.device)
    size = denoising.count if denoising else 0
    losses: dict[str, Tensor] = {}
    with torch.autocast(count.device.type, enabled=False):
        for layer in (len(predictions) - 1, *range(len(predictions) - 1)):
            suffix = "" if layer == len(predictions) - 1 else f"_{layer}"
            matched = predictions[layer].part(slice(size, None))
            losses |= _named(suffix, set_losses(matched, targets, count, points, no_object=no_object))
            if layer == 0 and guesses is None:
                continue  # learnt queries: what stands before the decoder is not repaired
            repaired = dict.fromkeys(WEIGHTS, count.new_zeros(()))
            if denoising is not None:
                disturbed, number = predictions[layer].part(slice(size)), count * denoising.groups
                repaired = set_losses(disturbed, targets, number, points, no_object=no_object, pairs=denoising.pairs)
            losses |= _named(f"_dn{suffix}", repaired)
        if guesses is not None:
            losses |= _named("_interm", set_losses(guesses, targets, count, points, no_object=no_object))
    return losses


def _cross_entropy(logits: Tensor, labels: Sequence[Tensor], pairs: Sequence[Pairs], counted: Tensor | None) -> Tensor:
    """Mean over all queries, in which those without an object weigh a tenth."""
    nothing = logits.shape[-1] - 1
    truth = torch.full(logits.shape[:2], nothing, device=logits.device)
    for of_image, classes, (queries, objects) in zip(truth, labels, pairs, strict=True):
        of_image[queries] = classes[objects]
    if counted is not None:
        truth = truth.masked_fill(~counted, -100)
    weight = logits.new_ones(nothing + 1)
    weight[nothing] = _NO_OBJECT
    return F.cross_entropy(logits.transpose(1, 2), truth, weight)


def _named(suffix: str, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"loss_{name}{suffix}": loss for name, loss in losses.items()}
