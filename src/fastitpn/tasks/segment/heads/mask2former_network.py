"""Mask2Former as a segmentation head: from masks with classes to a class for each pixel."""

import torch
from torch import Tensor

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS
from fastitpn.tasks.mask2former import MatchedMasks, Outputs
from fastitpn.tasks.segment.heads.base import SegmentationHead

_LEAST_PROBABILITY = 1e-6


class Mask2FormerHead(MatchedMasks, SegmentationHead):
    """A semantic mask is learnt as one mask for each class in it, a panoptic one as one for each segment.

    Pixels that are left out belong to none of them. The probability of a class at a pixel is the sum over queries of
    mask probability times class probability, as published, here divided by its sum over the classes.
    """

    def losses(self, outputs: Outputs, masks: Tensor) -> dict[str, Tensor]:
        """Losses on matched masks: one mask for each class, or where there are codes for each segment."""
        codes = [mask.unique() for mask in masks]
        codes = [present[(present & LABEL_BITS) != IGNORE] for present in codes]
        targets = [mask == present[:, None, None] for mask, present in zip(masks, codes, strict=True)]
        parts = self.matched_losses(outputs, targets, [(present & LABEL_BITS).long() for present in codes])
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def log_probabilities(self, outputs: Outputs) -> Tensor:
        """Log-probabilities [B, classes, H / 4, W / 4] of the last layer."""
        classes = outputs["classes"][-1].float().softmax(-1)[..., :-1]
        scores = torch.einsum("bqc,bqhw->bchw", classes, outputs["masks"][-1].float().sigmoid())
        return (scores / scores.sum(1, keepdim=True).clamp(min=_LEAST_PROBABILITY)).clamp(min=_LEAST_PROBABILITY).log()
