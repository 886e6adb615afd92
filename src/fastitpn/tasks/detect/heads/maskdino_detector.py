"""MaskDINO (Li et al., 2023) for instances: a set of queries, each of which finds one object and draws its mask."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_convert, clip_boxes_to_image

from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.detect.heads.base import Detections, Detector, Size, Target
from fastitpn.tasks.detect.heads.dino_detector import normalised
from fastitpn.tasks.detect.heads.drawn_masks import CELL, draw_masks, masks_in_boxes
from fastitpn.tasks.detr.levels import blank_of
from fastitpn.tasks.detr.proposals import gather
from fastitpn.tasks.heads import HEAD_DIM
from fastitpn.tasks.maskdino.inference import Instances, instances
from fastitpn.tasks.maskdino.network import MaskDINONetwork, MaskDINOSettings

_LEVELS = 4


class MaskDINO(Detector):
    """Boxes and masks by queries, which are the best cells of the encoder, as published for instances.

    Args:
        backbone: A `FastITPN` with a pyramid.
        num_classes: Number of classes.
        width: Channels inside, a multiple of 32; published: 256.
        queries: Objects that can be found in an image at most; published: 300.
        denoising: Noised boxes that training learns to denoise; published: 100, 0 is off.
        encoder_layers: Layers of the pixel decoder; published: 6.
        decoder_layers: Layers of the decoder; published: 9.
        points: Points that the losses look at for each mask; published: 12544.
        detections: Objects of an image at most; published: 100.
    """

    has_masks = True
    class_layers: tuple[str, ...] = tuple(f"network.{name}" for name in MaskDINONetwork.class_layers)
    input_layers: tuple[str, ...] = tuple(f"network.{name}" for name in MaskDINONetwork.input_layers)

    def __init__(
        self,
        backbone: FastITPN,
        num_classes: int,
        *,
        width: int = 256,
        queries: int = 300,
        denoising: int = 100,
        encoder_layers: int = 6,
        decoder_layers: int = 9,
        points: int = 12544,
        detections: int = 100,
    ):
        super().__init__(backbone)
        assert backbone.pyramid is not None
        self.detections, self.queries = detections, queries
        settings = MaskDINOSettings(
            channels=(backbone.pyramid.dim,) * _LEVELS,
            width=width,
            mask_width=width,
            heads=max(1, width // HEAD_DIM),
            encoder_hidden=4 * width,
            decoder_hidden=8 * width,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            queries=queries,
            denoising=denoising,
            points=points,
        )
        self.network = MaskDINONetwork(num_classes, settings)

    def published_names(self) -> dict[str, tuple[str, ...]]:
        """Parameters of the head, by their published names."""
        return {f"network.{name}": several for name, several in self.network.published_names().items()}

    def canvas_losses(self, canvas: Tensor, sizes: list[Size], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses of the matched queries of all layers: class, mask, overlap, box; and of the denoising, their sum."""
        height, width = canvas.shape[-2:]
        objects = [
            {
                **normalised(target, size),
                "masks": F.pad(target["masks"], (0, width - size[1], 0, height - size[0])),
            }
            for target, size in zip(targets, sizes, strict=True)
        ]
        encoded = self.network.pixel_decoder(self.feature_maps(canvas)[:_LEVELS])
        return self.network.losses(encoded, objects)

    def canvas_detections(self, canvas: Tensor, sizes: list[Size]) -> list[Detections]:
        """Boxes, and masks as logits [n, H / 4, W / 4] of the whole canvas."""
        logits, boxes, masks = self.network(self.feature_maps(canvas)[:_LEVELS])
        height, width = canvas.shape[-2:]
        corners = box_convert(boxes, "cxcywh", "xyxy") * boxes.new_tensor([width, height, width, height])
        return [self._best(*of_image) for of_image in zip(logits.float(), corners, masks.float(), sizes, strict=True)]

    def detect_whole(self, canvas: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detections of images that fill the canvas, in evaluation mode, in operations that can be traced.

        Args:
            canvas: [B, 3, H, W]; what is exactly zero below and to the right of an image counts as padding.

        Returns:
            Best first: boxes [B, n, 4] (left, top, right, bottom, as shares of the image), scores [B, n], labels int64
            [B, n], and masks [B, n, m, m]: probabilities inside of the boxes.
        """
        logits, boxes, masks = self.network(self.feature_maps(canvas)[:_LEVELS])
        inside = ~blank_of(canvas)  # a cell that has a pixel of the image
        seen = torch.where(inside[:, None, ::CELL, ::CELL], masks.float(), -torch.inf)
        best = instances(logits.float(), seen, self.detections)
        scores, order = best.scores.topk(best.scores.shape[1], 1)
        queries = best.queries.gather(1, order)
        corners = gather(box_convert(boxes, "cxcywh", "xyxy").clamp(0, 1), queries)
        drawn = masks.gather(1, queries[..., None, None].expand(-1, -1, *masks.shape[-2:]))
        return corners, scores, best.labels.gather(1, order), masks_in_boxes(drawn, corners)

    def resized(self, detections: Detections, size: Size, wanted: Size) -> Detections:
        """Boxes and masks at the size that is wanted."""
        boxes = detections["boxes"]
        scale = boxes.new_tensor([wanted[1] / size[1], wanted[0] / size[0]]).repeat(2)
        masks = draw_masks(detections["masks"], size, wanted)
        return {**detections, "boxes": boxes * scale, "masks": masks}

    def _best(self, logits: Tensor, corners: Tensor, masks: Tensor, size: Size) -> Detections:
        """The best detections of one image, of its queries."""
        inside = masks[:, : -(-size[0] // CELL), : -(-size[1] // CELL)]
        best = Instances(*(part[0] for part in instances(logits[None], inside[None], self.detections)))
        order = torch.argsort(best.scores, descending=True, stable=True)
        queries = best.queries[order]
        return {
            "boxes": clip_boxes_to_image(corners[queries], size),
            "scores": best.scores[order],
            "labels": best.labels[order],
            "masks": masks[queries],
        }
