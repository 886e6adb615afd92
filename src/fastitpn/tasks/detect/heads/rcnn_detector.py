"""Faster, Mask and Cascade R-CNN (Ren et al., 2015; He et al., 2017; Cai & Vasconcelos, 2018) by torchvision."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import roi_align
from torchvision.ops.poolers import LevelMapper

from fastitpn.models.backbone import FastITPN
from fastitpn.models.pyramid import STRIDES
from fastitpn.tasks.detect.heads.base import Detections, Detector, Size, Target
from fastitpn.tasks.detect.heads.region_heads import CASCADE, ONE_STAGE, RegionHeads
from fastitpn.tasks.detect.heads.region_losses import proposal_losses
from fastitpn.tasks.detr.boxes import within

_ROI_STRIDES = STRIDES[:4]
_ASPECT_RATIOS = (0.5, 1.0, 2.0)
_BOX_SIDE, _MASK_SIDE = 7, 14


class RCNN(Detector):
    """Regions that may hold something, and for each of them its class, its box and perhaps its mask.

    Numbers that are no arguments are torchvision's, which are those of the publications.

    Args:
        backbone: A `FastITPN` with a pyramid.
        num_classes: Number of classes.
        masks: Also learn masks: Mask R-CNN.
        cascade: Look at the regions three times, each time asking for more overlap: Cascade R-CNN.
        anchor_scale: Side of the anchors of a level in strides; published: 8, for images of about 800 px. Objects
            in small images are small: 4 for 400 px. It also moves the bounds between objects for one level and those
            for the next.
        box_width: Channels of the two layers that classify; published: 1024.
        mask_width: Channels of the layers that draw masks; published: 256.
        regions: How many regions of an image training looks at; published: 512.
        proposals: Regions of an image at most; twice as many in training. Published: 1000.
        box_head: "mlp", or "conv" as published for iTPN; see `RegionHeads`.
        box_loss: "smooth_l1", or "giou" as published for iTPN.
        region_loss: "smooth_l1", or "l1" as published for iTPN, for the boxes of the proposals.
        sampling: Points that a cell of a region is averaged from, along each side; 0 for one for each pixel of its
            level, as published for iTPN.
        own_regions: Of a cascade: each stage has regions, boxes for each class and a mask head of its own.
        detections: Objects of an image at most.
        min_score: Detections of lower score are left out.
    """

    def __init__(
        self,
        backbone: FastITPN,
        num_classes: int,
        *,
        masks: bool = True,
        cascade: bool = False,
        anchor_scale: float = 8,
        box_width: int = 1024,
        mask_width: int = 256,
        regions: int = 512,
        proposals: int = 1000,
        box_head: str = "mlp",
        box_loss: str = "smooth_l1",
        region_loss: str = "smooth_l1",
        sampling: int = 2,
        own_regions: bool = False,
        detections: int = 100,
        min_score: float = 0.05,
    ):
        super().__init__(backbone)
        assert backbone.pyramid is not None
        self.has_masks = masks
        stages = CASCADE if cascade else ONE_STAGE
        last = "cls_score." if cascade and not own_regions else ""  # one box for all classes
        drawing = [f"{number}." for number in range(len(stages))] if own_regions else [""]
        self.class_layers = (
            *(f"roi_heads.box_predictors.{number}.{last}" for number in range(len(stages))),
            *(f"roi_heads.mask_predictor.{number}mask_fcn_logits." for number in drawing),
        )
        dim = backbone.pyramid.dim
        anchors = LevelAnchors(anchor_scale)
        self.rpn = Proposals(
            anchors,
            RPNHead(dim, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 2 * proposals, "testing": proposals},
            post_nms_top_n={"training": 2 * proposals, "testing": proposals},
            nms_thresh=0.7,
        )
        self.rpn.box_loss = region_loss
        self.rpn.head.register_forward_hook(_in_float32)
        settings: dict[str, Any] = {}
        if masks:
            heads = [MaskRCNNHeads(dim, (mask_width,) * 4, dilation=1) for _ in drawing]
            predictors = [MaskRCNNPredictor(mask_width, mask_width, num_classes + 1) for _ in drawing]
            settings["mask_roi_pool"] = LevelPool(_MASK_SIDE, anchor_scale, sampling)
            settings["mask_head"] = nn.ModuleList(heads) if own_regions else heads[0]
            settings["mask_predictor"] = nn.ModuleList(predictors) if own_regions else predictors[0]
        self.roi_heads = RegionHeads(
            LevelPool(_BOX_SIDE, anchor_scale, sampling),
            dim,
            box_width,
            num_classes + 1,
            stages,
            box_head=box_head,
            box_loss=box_loss,
            own_regions=own_regions,
            batch_size_per_image=regions,
            positive_fraction=0.25,
            score_thresh=min_score,
            nms_thresh=0.5,
            detections_per_img=detections,
            **settings,
        )

    def _features(self, canvas: Tensor) -> dict[str, Tensor]:
        """Maps by name, in float32: anchors have the precision of the maps, and bfloat16 would round them to 8 px."""
        return {str(stride): level.float() for stride, level in zip(STRIDES, self.feature_maps(canvas), strict=True)}

    def canvas_losses(self, canvas: Tensor, sizes: list[Size], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses of the regions (objectness, boxes) and of what was made of them (class, boxes, masks)."""
        assert self.training
        features = self._features(canvas)
        shifted = [self._target(target) for target in targets]
        proposals, losses = self.rpn(ImageList(canvas, sizes), features, shifted)
        return losses | self.roi_heads(features, proposals, sizes, shifted)[1]

    def _target(self, target: Target) -> dict[str, Tensor]:
        """Labels from 1, since 0 is the background."""
        boxes = target["boxes"].float()
        shifted = {"boxes": boxes, "labels": target["labels"] + 1, "ignored": target.get("ignored", boxes[:0]).float()}
        return {**shifted, "masks": target["masks"]} if self.has_masks else shifted

    def canvas_detections(self, canvas: Tensor, sizes: list[Size]) -> list[Detections]:
        """Detections of the images."""
        assert not self.training
        features = self._features(canvas)
        proposals, _ = self.rpn(ImageList(canvas, sizes), features)
        results, _ = self.roi_heads(features, proposals, sizes)
        return [{**result, "labels": result["labels"] - 1} for result in results]

    def detect_whole(self, canvas: Tensor) -> tuple[Tensor, ...]:
        """Detections of an image that fills the canvas, in evaluation mode, in operations that TorchScript can trace.

        Args:
            canvas: [1, 3, H, W].

        Returns:
            Best first: boxes [1, n, 4] (left, top, right, bottom, as shares of the image), scores [1, n], labels int64
            [1, n] and, of a detector with masks, their probabilities [1, n, m, m] inside of the boxes.
        """
        height, width = canvas.shape[-2:]
        [detections] = self.canvas_detections(canvas, [(height, width)])
        shares = detections["boxes"] / detections["boxes"].new_tensor([width, height, width, height])
        rest = [detections[name][None] for name in ("scores", "labels", "masks") if name in detections]
        return shares[None], *rest


class Proposals(RegionProposalNetwork):
    """Proposes regions; an anchor in an ignored region is not taught to be background.

    Attributes:
        box_loss: "smooth_l1" or "l1".
    """

    box_loss: str = "smooth_l1"

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Losses of objectness and boxes, means over the sampled anchors."""
        if self.box_loss == "smooth_l1":
            return super().compute_loss(objectness, pred_bbox_deltas, labels, regression_targets)
        positive, negative = (torch.where(torch.cat(of_images))[0] for of_images in self.fg_bg_sampler(labels))
        goals = torch.cat(regression_targets)
        return proposal_losses(objectness.flatten(), pred_bbox_deltas, torch.cat(labels), goals, positive, negative)

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Labels of anchors, 1, 0 or -1 for those that count as nothing, and the boxes that they should become."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for of_image, label, target in zip(anchors, labels, targets, strict=True):
            label[(label == 0) & within(of_image, target["ignored"])] = -1
        return labels, boxes


class LevelAnchors(AnchorGenerator):
    """Anchors in the middle of the cells of the pyramid.

    torchvision works out strides from the sizes of image and map, which is wrong where a map was rounded up.

    Args:
        scale: Side of the anchors in strides.
    """

    def __init__(self, scale: float) -> None:
        super().__init__(tuple((scale * stride,) for stride in STRIDES), (_ASPECT_RATIOS,) * len(STRIDES))

    def grid_anchors(self, grid_sizes: list[list[int]], strides: list[list[Tensor]]) -> list[Tensor]:
        """Anchors of each level, [n, 4]."""
        sides = [[torch.full_like(old, stride) for old in pair] for stride, pair in zip(STRIDES, strides, strict=True)]
        levels = super().grid_anchors(grid_sizes, sides)
        return [anchors + stride / 2 for stride, anchors in zip(STRIDES, levels, strict=True)]


class LevelPool(nn.Module):
    """Cuts regions out of the levels that fit their size.

    torchvision's pool works out the strides from the first batch, keeps them, and looks half a cell beside a region.

    Args:
        side: Side of what is cut out, in cells.
        anchor_scale: Side of anchors in strides. Published: 224 px belong to stride 16, where anchors have 8.
        sampling: Points that a cell is averaged from, along each side; 0 for one for each pixel of the level.
    """

    def __init__(self, side: int, anchor_scale: float, sampling: int = 2) -> None:
        super().__init__()
        self.side, self.sampling = side, sampling
        self.level_of = LevelMapper(2, 5, canonical_scale=round(28 * anchor_scale))

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[Size]) -> Tensor:
        """[n, C, side, side], of all boxes of all images."""
        images = torch.cat([torch.full_like(of_image[:, :1], number) for number, of_image in enumerate(boxes)])
        rois = torch.cat((images, torch.cat(boxes)), 1)
        levels = self.level_of(boxes)
        maps = [features[str(stride)] for stride in _ROI_STRIDES]
        result = maps[0].new_zeros(rois.shape[0], maps[0].shape[1], self.side, self.side)
        for number, (level, stride) in enumerate(zip(maps, _ROI_STRIDES, strict=True)):
            place = torch.where(levels == number)[0]
            regions = roi_align(level, rois[place], self.side, 1 / stride, self.sampling, aligned=True)
            result = result.index_copy(0, place, regions.to(result.dtype))
        return result


def _in_float32(module: nn.Module, inputs: Any, output: tuple[list[Tensor], list[Tensor]]) -> Any:
    """A forward hook: what the layer gives under autocast, as float32."""
    return tuple([part.float() for part in parts] for parts in output)
