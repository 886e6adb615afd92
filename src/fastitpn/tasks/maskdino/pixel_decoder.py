"""MaskDINO's pixel decoder: levels that have seen one another, and features of each cell at stride 4 for the masks."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.tasks.detr.encoder import Encoder
from fastitpn.tasks.detr.levels import Levels, flatten
from fastitpn.tasks.detr.position import sine_positions
from fastitpn.tasks.detr.projection import Projection, group_norm

_TEMPERATURE = 10000.0


class PixelDecoder(nn.Module):
    """Deformable encoder over strides 8 to 32 and coarser, and one top-down step to stride 4.

    Args:
        channels: Of the maps at strides 4, 8, 16 and 32.
        width: Channels of the levels.
        mask_width: Channels of the features that masks are made of.
        heads: Attention heads.
        hidden: Width of the feed-forward networks.
        layers: Layers of the encoder.
        levels: Levels that are looked at, from stride 8 on.
        coarse_first: Order of the levels: from coarse to fine, or from fine to coarse.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        *,
        mask_width: int,
        heads: int,
        hidden: int,
        layers: int,
        levels: int,
        coarse_first: bool,
    ):
        super().__init__()
        self.coarse_first = coarse_first
        finer, *others = channels
        ordered, coarsest = (others[::-1], 0) if coarse_first else (others, -1)
        self.input_proj = Projection(ordered, width, extra=levels - len(others), coarsest=coarsest)
        self.transformer = _Transformer(width, heads=heads, hidden=hidden, layers=layers, levels=levels)
        self.adapter_1 = _NormedConv(finer, width, 1)
        self.layer_1 = _NormedConv(width, width, 3)
        self.mask_features = nn.Conv2d(width, mask_width, 1)
        nn.init.kaiming_uniform_(self.mask_features.weight, a=1)
        nn.init.zeros_(self.mask_features.bias)  # type: ignore[arg-type]

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the layers of the encoder in the backward pass."""
        self.transformer.encoder.set_grad_checkpointing(enable)

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Maps at strides 4 to 32 to levels [B, width, h, w] in their order, and features [B, mask_width, H/4, W/4]."""
        finer, *others = maps
        count = len(others)
        levels = self.input_proj(others[::-1] if self.coarse_first else others)
        if self.coarse_first:
            levels = [*levels[count:][::-1], *levels[:count]]
        levels = self.transformer(levels)
        finest = levels[-1 if self.coarse_first else 0]
        x = self.adapter_1(finer) + F.interpolate(finest, size=finer.shape[-2:], mode="bilinear")
        return levels, self.mask_features(F.relu(self.layer_1(x)))


class _Transformer(nn.Module):
    """The encoder, with its published names; padding is not masked, as published."""

    def __init__(self, width: int, *, heads: int, hidden: int, layers: int, levels: int):
        super().__init__()
        self.level_embed = nn.Parameter(torch.randn(levels, width))
        self.encoder = Encoder(layers, width, heads=heads, hidden=hidden, levels=levels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        levels, width = Levels.whole(maps), self.level_embed.shape[1]
        positions = [
            sine_positions(padding, width, _TEMPERATURE) + embed
            for padding, embed in zip(levels.padding, self.level_embed, strict=True)
        ]
        return levels.split(self.encoder(flatten(maps), torch.cat(positions, 1), levels))


class _NormedConv(nn.Conv2d):
    """A convolution without bias, and a group norm."""

    def __init__(self, dim: int, width: int, side: int):
        super().__init__(dim, width, side, padding=side // 2, bias=False)
        nn.init.kaiming_uniform_(self.weight, a=1)
        self.norm = group_norm(width)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(super().forward(x))
        return normed
