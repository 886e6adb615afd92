"""How feature maps get into an encoder: by the published projection, or those of our pyramid nearly as they are."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

_GROUPS = 32


def group_norm(width: int) -> nn.GroupNorm:
    """Of 32 groups, as published; of fewer where a group would have a single channel, which has no spread."""
    return nn.GroupNorm(min(_GROUPS, max(1, width // 2)), width)


class Projection(nn.ModuleList):
    """As published: a 1x1 convolution with group norm for each map, and coarser levels by 3x3 convolutions.

    Args:
        channels: Of each map, in the order of the levels.
        width: Channels of the levels.
        extra: Coarser levels: the first is made of the coarsest map as it comes in, the others of the level before.
        coarsest: Place of the coarsest map.
    """

    def __init__(self, channels: Sequence[int], width: int, *, extra: int, coarsest: int = -1):
        coarser = [channels[coarsest], *[width] * extra][:extra]
        layers = [nn.Conv2d(dim, width, 1) for dim in channels]
        layers += [nn.Conv2d(dim, width, 3, stride=2, padding=1) for dim in coarser]
        for parameter in (parameter for layer in layers for parameter in layer.parameters()):
            (nn.init.xavier_uniform_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)
        super().__init__(nn.Sequential(layer, group_norm(width)) for layer in layers)
        self.coarsest = coarsest

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps [B, C, h, w] to levels [B, width, h, w]."""
        count = len(maps)
        levels = [layer(level) for layer, level in zip(self, maps, strict=False)]
        for place, layer in enumerate(list(self)[count:]):
            levels.append(layer(maps[self.coarsest] if place == 0 else levels[-1]))
        return levels

    def padding(self, mask: Tensor, levels: Sequence[Tensor]) -> list[Tensor]:
        """Where each level has nothing of its image: the nearest pixels of a mask bool [B, H, W]."""
        return [F.interpolate(mask[:, None].float(), size=level.shape[-2:])[:, 0].bool() for level in levels]


class PyramidInput(nn.ModuleList):
    """Levels of the pyramid, normalised; and projected, if they have another width.

    Args:
        dim: Channels of the pyramid.
        width: Channels of the levels.
        strides: Strides of the levels.
    """

    def __init__(self, dim: int, width: int, strides: Sequence[int]):
        super().__init__(
            nn.Sequential(nn.Identity() if dim == width else nn.Conv2d(dim, width, 1), LayerNorm2d(width))
            for _ in strides
        )
        self.strides = tuple(strides)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps [B, dim, h, w] to levels [B, width, h, w]."""
        return [layer(level) for layer, level in zip(self, maps, strict=True)]

    def padding(self, mask: Tensor, levels: Sequence[Tensor]) -> list[Tensor]:
        """Where each level has nothing of its image: the upper left pixels of the cells, of a mask bool [B, H, W].

        The size is that of the level and not reckoned again from the mask, for an exporter would have to prove of each
        operation that both are the same: with sizes left open, that took most of its time.
        """
        cells = [[torch.arange(side, device=mask.device) for side in level.shape[-2:]] for level in levels]
        return [
            mask[:, rows[:, None] * stride, columns * stride]
            for (rows, columns), stride in zip(cells, self.strides, strict=True)
        ]
