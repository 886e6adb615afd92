"""MaskDINO as a segmentation head: from queries with a class, a box and a mask to a class for each pixel."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_convert

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS
from fastitpn.tasks.maskdino.boxes import boxes_around
from fastitpn.tasks.maskdino.inference import semantic_scores
from fastitpn.tasks.maskdino.network import MaskDINONetwork, MaskDINOSettings
from fastitpn.tasks.segment.heads.base import Outputs, SegmentationHead

_LEVELS = 4
_HEAD_DIM = 32
_LEAST_PROBABILITY = 1e-6


class MaskDINOHead(MaskDINONetwork, SegmentationHead):
    """A semantic mask is learnt as one object for each class in it, a panoptic one as one for each segment.

    The probability of a class at a pixel is the sum over queries of mask probability times class probability, as
    published, here divided by its sum over the classes.

    Args:
        channels: Channels of each level; the first four are used.
        num_classes: Number of classes.
        width: Channels inside, a multiple of 32; published: 256.
        queries: Masks of an image at most; published: 100.
        encoder_layers: Layers of the pixel decoder; published: 6.
        decoder_layers: Layers of the decoder; published: 9.
        encoder_ratio: Width of the encoder's feed-forward networks as a multiple; published: 4, panoptic 8.
        levels: Levels that are looked at, from stride 8 on; published: 3, panoptic 4.
        coarse_first: Their order; published: coarse first, panoptic fine first.
        two_stage: Whether the best cells become queries, as published for panoptic; else they are learnt.
        no_object: Whether classes are learnt by cross entropy, with one more of no object; panoptic: focal loss.
        denoising: Disturbed boxes; published: 100.
        points: Points that the losses look at for each mask; published: 12544.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        *,
        width: int = 256,
        queries: int = 100,
        encoder_layers: int = 6,
        decoder_layers: int = 9,
        encoder_ratio: int = 4,
        levels: int = 3,
        coarse_first: bool = True,
        two_stage: bool = False,
        no_object: bool = True,
        denoising: int = 100,
        points: int = 12544,
    ):
        settings = MaskDINOSettings(
            channels=tuple(channels[:_LEVELS]),
            width=width,
            mask_width=width,
            heads=max(1, width // _HEAD_DIM),
            encoder_hidden=encoder_ratio * width,
            decoder_hidden=8 * width,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            levels=levels,
            coarse_first=coarse_first,
            queries=queries,
            two_stage=two_stage,
            box_start="no",
            no_object=no_object,
            denoising=denoising,
            points=points,
        )
        super().__init__(num_classes, settings)
        self.queries = queries

    def forward(self, maps: Sequence[Tensor]) -> Outputs:  # type: ignore[override]
        """Predictions of the last layer; in training what the decoder begins with, which is told the objects first."""
        if self.training:
            levels, pixels = self.pixel_decoder(maps[:_LEVELS])
            return {"levels": levels, "pixels": pixels}
        predictions = super().forward(maps[:_LEVELS])
        return {"classes": [predictions.logits], "masks": [predictions.masks]}

    def losses(self, outputs: Outputs, masks: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Losses on matched objects: one for each class, or where there are codes for each segment."""
        parts = super().losses((outputs["levels"], outputs["pixels"]), [objects_of(mask) for mask in masks])
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def log_probabilities(self, outputs: Outputs) -> Tensor:
        """Log-probabilities [B, classes, H / 4, W / 4]."""
        logits, masks = outputs["classes"][-1].float(), outputs["masks"][-1].float()
        scores = semantic_scores(logits, masks, no_object=self.settings.no_object)
        return (scores / scores.sum(1, keepdim=True).clamp(min=_LEAST_PROBABILITY)).clamp(min=_LEAST_PROBABILITY).log()


def objects_of(mask: Tensor) -> dict[str, Tensor]:
    """The objects of a mask [H, W] of labels or codes; pixels that are left out belong to none of them."""
    codes = mask.unique()
    codes = codes[(codes & LABEL_BITS) != IGNORE]
    masks = mask == codes[:, None, None]
    height, width = mask.shape
    boxes = box_convert(boxes_around(masks), "xyxy", "cxcywh")
    shares = boxes / boxes.new_tensor([width, height, width, height])
    return {"labels": (codes & LABEL_BITS).long(), "boxes": shares, "masks": masks}
