"""The lightest segmentation head: a linear layer on three levels of the pyramid."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from fastitpn.tasks.segment.heads.base import LogitsHead, Outputs, start_classifiers

_LEVELS = 3


class LinearHead(LogitsHead):
    """The lightest head: each level is normalised and projected to the classes where it is, and they are summed.

        logits = sum over strides 4, 8, 16 of upsample(W_s norm_s(p_s))

    That is one linear layer over all three levels at 1/4, at a fraction of its cost.

    Args:
        channels: Channels of each level, as many as there are.
        num_classes: Number of classes.
    """

    class_layers = ("classifiers.",)

    def __init__(self, channels: Sequence[int], num_classes: int):
        super().__init__()
        used = channels[:_LEVELS]
        self.norms = nn.ModuleList(LayerNorm2d(dim) for dim in used)
        self.classifiers = nn.ModuleList(nn.Conv2d(dim, num_classes, 1, bias=i == 0) for i, dim in enumerate(used))
        start_classifiers(self.classifiers)

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Logits."""
        logits = [
            classify(norm(level)) for level, norm, classify in zip(maps, self.norms, self.classifiers, strict=False)
        ]
        size = logits[0].shape[-2:]
        coarse = (F.interpolate(level, size=size, mode="bilinear") for level in logits[1:])
        return {"logits": torch.stack([logits[0], *coarse]).sum(0)}
