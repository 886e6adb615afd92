"""A segmentation head: one convolution on the finest level of the pyramid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fastitpn.config.types import Count
from fastitpn.tasks.heads import HeadSpec
from fastitpn.tasks.segment.heads.base import LogitsHead
from fastitpn.tasks.segment.heads.registry import SegmentHeadKeys


@dataclass(frozen=True, kw_only=True)
class ConvolutionKeys(SegmentHeadKeys):
    """Head: convolution."""

    name: str = "convolution"
    width: Count = 16
    """Channels inside."""


class ConvolutionHead(LogitsHead):
    """Two convolutions on the level of stride 4."""

    class_layers = ("classifier.",)

    def __init__(self, channels: Sequence[int], num_classes: int, *, width: int):
        super().__init__()
        self.inside = nn.Conv2d(channels[0], width, 3, padding=1)
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> dict[str, Any]:
        return {"logits": self.classifier(self.inside(maps[0]).relu())}


HEAD = HeadSpec(
    keys=ConvolutionKeys,
    arguments=lambda keys, dim, px: {"width": keys.width},
    build=ConvolutionHead,
)
