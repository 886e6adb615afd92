"""What R-CNNs make of regions: boxes in one stage or, as a cascade (Cai & Vasconcelos, 2018), in three, and masks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss, maskrcnn_inference
from torchvision.ops import roi_align
from torchvision.ops.boxes import box_area, box_iou, clip_boxes_to_image

_LEAST_PROBABILITY = 1e-12
_WITHIN = 0.5
"""Share of a box in an ignored region from which on it counts as lying in it."""

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
        pool: Cuts regions out of the pyramid's levels.
        inputs: Numbers that describe a region after the cut: channels times cells.
        width: Channels of the layers that classify.
        num_classes: Classes and the background.
        stages: One, with boxes for each class, or more, with one box for all classes.
        **settings: Arguments of `RoIHeads`, that of the stages excepted.
    """

    def __init__(
        self, pool: nn.Module, inputs: int, width: int, num_classes: int, stages: Sequence[Stage], **settings: Any
    ) -> None:
        overlap, weights, _ = stages[0]
        super().__init__(pool, None, None, overlap, overlap, bbox_reg_weights=weights, **settings)
        self.num_classes = num_classes
        self.stages = tuple(stages)
        self.box_heads = nn.ModuleList(TwoMLPHead(inputs, width) for _ in stages)
        self.box_predictors = nn.ModuleList(FastRCNNPredictor(width, num_classes) for _ in stages)
        if len(stages) > 1:
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
        self._use_stage(0)
        proposals = [self._outside(boxes, target) for boxes, target in zip(proposals, targets, strict=True)]
        proposals, matched, labels, goals = self.select_training_samples(proposals, targets)
        first = (proposals, matched, labels)
        for number, stage in enumerate(self.stages):
            if number > 0:
                self._use_stage(number)
                labels, goals = self._match(proposals, targets)
            logits, deltas = self._look(number, features, proposals, shapes)
            class_loss, box_loss = fastrcnn_loss(logits, self._for_each_class(deltas), labels, goals)
            suffix = f"_{number + 1}" if len(self.stages) > 1 else ""
            losses[f"loss_classifier{suffix}"] = stage.loss_weight * class_loss
            losses[f"loss_box_reg{suffix}"] = stage.loss_weight * box_loss
            if number < len(self.stages) - 1:
                refined = self._refined(deltas.detach(), proposals, shapes)
                proposals = [boxes.reshape(-1, 4) for boxes in refined]  # of no regions, too
        if self.has_mask():
            losses["loss_mask"] = self._mask_loss(features, *first, shapes, targets)
        return losses

    def _outside(self, proposals: Tensor, target: dict[str, Tensor]) -> Tensor:
        """Regions without those that lie in an ignored region and would be taught to be background."""
        if not len(target["ignored"]):
            return proposals
        hit = box_iou(proposals, target["boxes"]).amax(1) >= self.stages[0].overlap if len(target["boxes"]) else False
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
        return deltas.repeat(1, self.num_classes) if len(self.stages) > 1 else deltas

    def _refined(self, deltas: Tensor, proposals: list[Tensor], shapes: Shapes) -> list[Tensor]:
        counts = [regions.shape[0] for regions in proposals]  # `len` would be a constant of a traced graph
        boxes = self.box_coder.decode(deltas, proposals)[:, 0]
        return [clip_boxes_to_image(corners, shape) for corners, shape in zip(boxes.split(counts), shapes, strict=True)]

    def _draw(self, features: dict[str, Tensor], boxes: list[Tensor], shapes: Shapes) -> Tensor:
        """Float32 logits of masks [n, classes, m, m]."""
        return self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, shapes))).float()

    def _mask_loss(
        self,
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
        logits = self._draw(features, regions, shapes)
        classes = torch.cat([of_image[place] for of_image, place in zip(labels, there, strict=True)])
        if len(classes) == 0:
            return 0 * logits.sum()
        goals = torch.cat(
            [
                cut_masks(target["masks"], boxes, number[place], logits.shape[-1])
                for target, boxes, number, place in zip(targets, regions, matched, there, strict=True)
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
                proposals = self._refined(deltas, proposals, shapes)
        mean = torch.stack(probabilities).mean(0).clamp(min=_LEAST_PROBABILITY)
        boxes, scores, labels = self.postprocess_detections(
            mean.log(),  # of which the softmax is taken
            self._for_each_class(deltas),
            proposals,
            shapes,
        )
        results = [{"boxes": b, "scores": s, "labels": c} for b, s, c in zip(boxes, scores, labels, strict=True)]
        if self.has_mask():
            drawn = maskrcnn_inference(self._draw(features, boxes, shapes), labels)
            for result, probability in zip(results, drawn, strict=True):
                result["masks"] = probability[:, 0]
        return results


def within(boxes: Tensor, ignored: Tensor) -> Tensor:
    """Which of boxes [n, 4] lie with more than half of their area in one of the ignored ones [k, 4]: bool [n]."""
    if not len(ignored):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    low = torch.maximum(boxes[:, None, :2], ignored[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], ignored[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return (shared.amax(1) / box_area(boxes).clamp(min=1e-6)) > _WITHIN


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
