"""What R-CNNs make of regions: boxes in one stage or, as a cascade (Cai & Vasconcelos, 2018), in three, and masks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads, maskrcnn_inference
from torchvision.ops import roi_align
from torchvision.ops.boxes import box_iou, clip_boxes_to_image

from fastitpn.tasks.detect.heads.region_losses import region_losses
from fastitpn.tasks.detr.boxes import within

_LEAST_PROBABILITY = 1e-12
_SIDE = 7
_CONVOLUTIONS = 4

Losses = dict[str, Tensor]
Shapes = list[tuple[int, int]]
Targets = list[dict[str, Tensor]]


class Stage(NamedTuple):
    """How regions are compared with what is there."""

    overlap: float
    """From which a region counts as found."""
    weights: tuple[float, float, float, float]
    """Weights of the four numbers of a box."""
    loss_weight: float
    """Factor on the stage's losses."""


ONE_STAGE = (Stage(0.5, (10.0, 10.0, 5.0, 5.0), 1.0),)
CASCADE = (
    *ONE_STAGE,
    Stage(0.6, (20.0, 20.0, 10.0, 10.0), 0.5),
    Stage(0.7, (30.0, 30.0, 15.0, 15.0), 0.25),
)
"""Three stages: least overlap of a positive, weights of the box's sides and of the loss; as published."""


class RegionHeads(RoIHeads):
    """Each stage starts from the boxes of the one before; masks are drawn in the boxes of the last.

    The matching, the sampling and the choice of detections are torchvision's. Unlike there, cells and pixels have
    their centres in their middle, in the regions and in the masks: else masks are a pixel too wide.

    Args:
        pool: Cuts regions of 7x7 cells out of the pyramid's levels.
        dim: Channels of the levels.
        width: Channels of the layers that classify.
        num_classes: Classes and the background.
        stages: One, or those of a cascade.
        box_head: Before the classes and boxes: "mlp", two layers, or "conv", four convolutions with batch norm and one
            layer.
        box_loss: "smooth_l1" of the numbers that move a box, or "giou" of the boxes, ten times.
        own_regions: Of a cascade: each stage samples regions of its own and has boxes for each class and a head for
            masks, whose probabilities are averaged. Else the stages share the first one's regions and mask head, and
            have one box for all classes.
        **settings: Arguments of `RoIHeads`, that of the stages excepted; `mask_head` and `mask_predictor` are lists
            with `own_regions`.
    """

    def __init__(
        self,
        pool: nn.Module,
        dim: int,
        width: int,
        num_classes: int,
        stages: Sequence[Stage],
        *,
        box_head: str = "mlp",
        box_loss: str = "smooth_l1",
        own_regions: bool = False,
        **settings: Any,
    ) -> None:
        overlap, weights, _ = stages[0]
        super().__init__(pool, None, None, overlap, overlap, bbox_reg_weights=weights, **settings)
        self.num_classes = num_classes
        self.stages = tuple(stages)
        self.box_loss, self.own_regions = box_loss, own_regions
        self.box_for_each_class = len(stages) == 1 or own_regions
        self.box_heads = nn.ModuleList(_box_head(box_head, dim, width) for _ in stages)
        self.box_predictors = nn.ModuleList(FastRCNNPredictor(width, num_classes) for _ in stages)
        if not self.box_for_each_class:
            for predictor in self.box_predictors:
                predictor.bbox_pred = nn.Linear(width, 4)

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: Shapes,
        targets: Targets | None = None,
    ) -> tuple[Targets, Losses]:
        """Detections in evaluation mode, losses in training mode; as `RoIHeads.forward`."""
        if self.training:
            assert targets is not None
            return [], self._losses(features, proposals, image_shapes, targets)
        return self._detections(features, proposals, image_shapes), {}

    def _losses(self, features: dict[str, Tensor], proposals: list[Tensor], shapes: Shapes, targets: Targets) -> Losses:
        losses: Losses = {}
        drawn = []  # the regions in which masks are learnt
        for number, stage in enumerate(self.stages):
            self._use_stage(number)
            if number == 0 or self.own_regions:
                boxes = [self._outside(*image) for image in zip(proposals, targets, strict=True)]
                proposals, matched, labels, goals = self.select_training_samples(boxes, targets)
                drawn.append((proposals, matched, labels))
            else:
                labels, goals = self._match(proposals, targets)
            logits, deltas = self._look(number, features, proposals, shapes)
            class_loss, box_loss = region_losses(
                logits, self._for_each_class(deltas), labels, goals, proposals, self.box_coder, self.box_loss
            )
            losses[f"loss_classifier{self._suffix(number)}"] = stage.loss_weight * class_loss
            losses[f"loss_box_reg{self._suffix(number)}"] = stage.loss_weight * box_loss
            if number < len(self.stages) - 1:
                classes = torch.cat(labels)
                classes = torch.where(classes > 0, classes, _best_class(logits))
                refined = self._refined(deltas.detach(), classes, proposals, shapes)
                if self.own_regions:  # the next stage adds the true boxes itself
                    moved = [_moved(*image) for image in zip(proposals, matched, targets, strict=True)]
                    refined = [boxes[place] for boxes, place in zip(refined, moved, strict=True)]
                proposals = [boxes.reshape(-1, 4) for boxes in refined]  # of no regions, too
        if self.has_mask():
            for number, regions in enumerate(drawn):
                loss = self._mask_loss(number, features, *regions, shapes, targets)
                suffix = self._suffix(number) if self.own_regions else ""
                losses[f"loss_mask{suffix}"] = self.stages[number].loss_weight * loss
        return losses

    def _suffix(self, number: int) -> str:
        return f"_{number + 1}" if len(self.stages) > 1 else ""

    def _outside(self, proposals: Tensor, target: dict[str, Tensor]) -> Tensor:
        """Regions without those that lie in an ignored region and would be taught to be background."""
        if not len(target["ignored"]):
            return proposals
        least = self.proposal_matcher.high_threshold
        hit = box_iou(proposals, target["boxes"]).amax(1) >= least if len(target["boxes"]) else False
        return proposals[hit | ~within(proposals, target["ignored"])]

    def _use_stage(self, number: int) -> None:
        """What the methods of `RoIHeads` match, encode and decode with."""
        overlap, weights, _ = self.stages[number]
        self.proposal_matcher = Matcher(overlap, overlap, allow_low_quality_matches=False)
        self.box_coder = BoxCoder(weights)

    def _match(self, proposals: list[Tensor], targets: Targets) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Labels of regions, and what their boxes should become."""
        boxes = [target["boxes"] for target in targets]
        matched, labels = self.assign_targets_to_proposals(proposals, boxes, [target["labels"] for target in targets])
        there = [true if len(true) else region.new_zeros(1, 4) for true, region in zip(boxes, proposals, strict=True)]
        goals = [true[place] for true, place in zip(there, matched, strict=True)]
        return labels, self.box_coder.encode(goals, proposals)

    def _look(
        self, number: int, features: dict[str, Tensor], proposals: list[Tensor], shapes: Shapes
    ) -> tuple[Tensor, Tensor]:
        """Float32 logits [n, classes] and box deltas [n, 4 or 4 * classes] of all regions."""
        regions = self.box_roi_pool(features, proposals, shapes)
        logits, deltas = self.box_predictors[number](self.box_heads[number](regions))
        return logits.float(), deltas.float()

    def _for_each_class(self, deltas: Tensor) -> Tensor:
        return deltas if self.box_for_each_class else deltas.repeat(1, self.num_classes)

    def _refined(self, deltas: Tensor, classes: Tensor, proposals: list[Tensor], shapes: Shapes) -> list[Tensor]:
        """Regions moved to where the box of their class is, [n, 4] of each image."""
        counts = [regions.shape[0] for regions in proposals]  # `len` would be a constant of a traced graph
        boxes = self.box_coder.decode(deltas, proposals)
        if self.box_for_each_class:
            boxes = boxes.gather(1, classes[:, None, None].expand(-1, 1, 4))
        boxes = boxes[:, 0]
        return [clip_boxes_to_image(corners, shape) for corners, shape in zip(boxes.split(counts), shapes, strict=True)]

    def _draw(self, number: int, features: dict[str, Tensor], boxes: list[Tensor], shapes: Shapes) -> Tensor:
        """Float32 logits of masks [n, classes, m, m]."""
        head, predictor = self.mask_head, self.mask_predictor
        if self.own_regions:
            head, predictor = head[number], predictor[number]
        return predictor(head(self.mask_roi_pool(features, boxes, shapes))).float()

    def _mask_loss(
        self,
        number: int,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        matched: list[Tensor],
        labels: list[Tensor],
        shapes: Shapes,
        targets: Targets,
    ) -> Tensor:
        """In the regions in which something is, whatever the later stages made of them."""
        there = [of_image > 0 for of_image in labels]
        regions = [boxes[place] for boxes, place in zip(proposals, there, strict=True)]
        logits = self._draw(number, features, regions, shapes)
        classes = torch.cat([of_image[place] for of_image, place in zip(labels, there, strict=True)])
        if len(classes) == 0:
            return 0 * logits.sum()
        goals = torch.cat(
            [
                cut_masks(target["masks"], boxes, objects[place], logits.shape[-1])
                for target, boxes, objects, place in zip(targets, regions, matched, there, strict=True)
            ]
        )
        own_class = logits[torch.arange(len(classes), device=logits.device), classes]
        return F.binary_cross_entropy_with_logits(own_class, goals)

    def _detections(self, features: dict[str, Tensor], proposals: list[Tensor], shapes: Shapes) -> Targets:
        """The boxes of the last stage, with the mean of the probabilities of all of them."""
        probabilities = []
        for number in range(len(self.stages)):
            self._use_stage(number)
            logits, deltas = self._look(number, features, proposals, shapes)
            probabilities.append(logits.softmax(-1))
            if number < len(self.stages) - 1:
                proposals = self._refined(deltas, _best_class(logits), proposals, shapes)
        mean = torch.stack(probabilities).mean(0).clamp(min=_LEAST_PROBABILITY)
        boxes, scores, labels = self.postprocess_detections(
            mean.log(),  # of which the softmax is taken
            self._for_each_class(deltas),
            proposals,
            shapes,
        )
        results = [{"boxes": b, "scores": s, "labels": c} for b, s, c in zip(boxes, scores, labels, strict=True)]
        if self.has_mask():
            heads = range(len(self.stages) if self.own_regions else 1)
            drawn = [maskrcnn_inference(self._draw(number, features, boxes, shapes), labels) for number in heads]
            means = drawn[0] if len(drawn) == 1 else [sum(parts) / len(parts) for parts in zip(*drawn, strict=True)]
            for result, probability in zip(results, means, strict=True):
                result["masks"] = probability[:, 0]
        return results


def _box_head(kind: str, dim: int, width: int) -> nn.Module:
    """From regions [n, dim, 7, 7] to [n, width]."""
    if kind == "conv":
        return FastRCNNConvFCHead((dim, _SIDE, _SIDE), [dim] * _CONVOLUTIONS, [width], norm_layer=nn.BatchNorm2d)
    return TwoMLPHead(dim * _SIDE**2, width)


def _best_class(logits: Tensor) -> Tensor:
    """The likeliest class of each region, the background left out: int64 [n]."""
    return logits[:, 1:].argmax(1) + 1


def _moved(regions: Tensor, matched: Tensor, target: dict[str, Tensor]) -> Tensor:
    """Which regions of an image are not a true box itself: bool [n]."""
    if not len(target["boxes"]):
        return regions.new_ones(len(regions), dtype=torch.bool)
    return (regions != target["boxes"][matched]).any(1)


def cut_masks(masks: Tensor, boxes: Tensor, numbers: Tensor, side: int) -> Tensor:
    """What of each box its mask covers: float32 [k, side, side], each the share of a part of the box.

    Args:
        masks: [n, h, w].
        boxes: [k, 4] in pixels.
        numbers: int64 [k], which mask belongs to each box.
        side: Parts of a box in either direction.
    """
    rois = torch.cat((numbers[:, None].to(boxes), boxes), 1)
    return roi_align(masks[:, None].to(boxes), rois, (side, side), aligned=True)[:, 0]
