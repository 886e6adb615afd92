"""Mask2Former (Cheng et al., 2022) for instances: a set of queries, each of which draws the mask of one object."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import masks_to_boxes

from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.detect.heads.base import Detections, Detector, Size, Target
from fastitpn.tasks.detect.heads.drawn_masks import CELL, boxes_in_shares, draw_masks, masks_in_boxes
from fastitpn.tasks.detr.levels import blank_of
from fastitpn.tasks.mask2former import MatchedMasks

_LEAST_PX = 64
"""Sides of the smallest canvas: the norms need more than one value on the level of stride 32."""


class Mask2Former(Detector):
    """Masks by queries, learnt on the masks of objects, which may overlap.

    As published: the best pairs of query and class, each with the score of its class times the mean probability
    inside of its mask; boxes are those around the masks.

    Args:
        backbone: A `FastITPN` with a pyramid.
        num_classes: Number of classes.
        width: Channels inside, a multiple of 32; published: 256.
        queries: Objects that can be found in an image at most; published: 100.
        encoder_layers: Layers of the pixel decoder; published: 6.
        decoder_layers: Layers of the transformer; published: 9.
        points: Pixels that the losses look at for each mask; published: 12544.
        detections: Objects of an image at most.
    """

    has_masks = True
    class_layers: tuple[str, ...] = tuple(f"head.{name}" for name in MatchedMasks.class_layers)

    def __init__(
        self,
        backbone: FastITPN,
        num_classes: int,
        *,
        width: int = 256,
        queries: int = 100,
        encoder_layers: int = 6,
        decoder_layers: int = 9,
        points: int = 12544,
        detections: int = 100,
    ):
        super().__init__(backbone)
        assert backbone.pyramid is not None
        self.detections, self.queries = detections, queries
        self.head = MatchedMasks(
            (backbone.pyramid.dim,) * 4,
            num_classes,
            width=width,
            queries=queries,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            points=points,
        )

    def canvas_losses(self, canvas: Tensor, sizes: list[Size], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses of the matched queries of all layers: class, mask by pixels, mask by overlap."""
        canvas = _large_enough(canvas)
        height, width = canvas.shape[-2:]
        masks = [
            F.pad(target["masks"], (0, width - image_width, 0, height - image_height))
            for target, (image_height, image_width) in zip(targets, sizes, strict=True)
        ]
        outputs = self.head(self.feature_maps(canvas))
        return self.head.matched_losses(outputs, masks, [target["labels"] for target in targets])

    def canvas_detections(self, canvas: Tensor, sizes: list[Size]) -> list[Detections]:
        """Masks as logits [n, H / 4, W / 4] of the whole canvas; boxes of no meaning, `resized` makes them."""
        outputs = self.head(self.feature_maps(_large_enough(canvas)))
        classes = outputs["classes"][-1].float().softmax(-1)[..., :-1]  # [B, queries, classes]
        drawn = outputs["masks"][-1].float()
        return [self._best(*of_image) for of_image in zip(classes, drawn, sizes, strict=True)]

    def detect_whole(self, canvas: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detections of images that fill the canvas, in evaluation mode, in operations that can be traced.

        Args:
            canvas: [B, 3, H, W], 64 px or more; what is exactly zero below and to the right of an image is padding.

        Returns:
            Best first: boxes [B, n, 4] (left, top, right, bottom, as shares of the image) around the masks, scores
            [B, n], 0 where there is no mask, labels int64 [B, n], and masks [B, n, m, m]: probabilities inside of the
            boxes.
        """
        outputs = self.head(self.feature_maps(canvas))
        classes = outputs["classes"][-1].float().softmax(-1)[..., :-1]
        drawn = outputs["masks"][-1].float()
        inside = ~blank_of(canvas)  # a cell that has a pixel of the image
        seen = torch.where(inside[:, None, ::CELL, ::CELL], drawn, -torch.inf)
        pairs = (classes * _sureness(seen)[..., None]).flatten(1)
        scores, places = pairs.topk(min(self.detections, pairs.shape[1]), 1)
        queries = places // classes.shape[2]
        chosen = drawn.gather(1, queries[..., None, None].expand(-1, -1, *drawn.shape[-2:]))
        boxes = boxes_in_shares(chosen, inside)
        return boxes, scores, places % classes.shape[2], masks_in_boxes(chosen, boxes)

    def resized(self, detections: Detections, size: Size, wanted: Size) -> Detections:
        """Masks at the size that is wanted, and the boxes around them; what has no pixel there is left out."""
        masks = draw_masks(detections["masks"], size, wanted)
        seen = masks.flatten(1).any(1)
        masks = masks[seen]
        return {
            "boxes": _around(masks),
            "scores": detections["scores"][seen],
            "labels": detections["labels"][seen],
            "masks": masks,
        }

    def _best(self, classes: Tensor, drawn: Tensor, size: Size) -> Detections:
        """The best detections of one image.

        Args:
            classes: Probabilities [queries, classes].
            drawn: Logits of masks [queries, h, w].
            size: Height and width of the image in pixels.
        """
        inside = drawn[:, : -(-size[0] // CELL), : -(-size[1] // CELL)]
        scores, place = (classes * _sureness(inside)[:, None]).flatten().topk(min(self.detections, classes.numel()))
        query = place // classes.shape[1]
        boxes = torch.zeros(len(query), 4, device=drawn.device)
        return {"boxes": boxes, "scores": scores, "labels": place % classes.shape[1], "masks": drawn[query]}


def _sureness(masks: Tensor) -> Tensor:
    """The mean probability [..., Q] inside of masks, logits [..., Q, h, w]; 0 without a pixel."""
    there = (masks > 0).float()
    return (masks.sigmoid() * there).sum((-2, -1)) / there.sum((-2, -1)).clamp(min=1)


def _large_enough(canvas: Tensor) -> Tensor:
    height, width = canvas.shape[-2:]
    return F.pad(canvas, (0, max(0, _LEAST_PX - width), 0, max(0, _LEAST_PX - height)))


def _around(masks: Tensor) -> Tensor:
    """Boxes float32 [n, 4] around masks bool [n, H, W], each of which has a pixel."""
    if len(masks) == 0:
        return torch.zeros(0, 4, device=masks.device)
    return masks_to_boxes(masks) + torch.tensor([0.0, 0.0, 1.0, 1.0], device=masks.device)
