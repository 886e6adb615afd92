"""The attention-free feature pyramid that is pre-trained together with the trunk."""

import torch.nn.functional as F
from torch import Tensor, fx, nn

from fastitpn.errors import InputError
from fastitpn.models.layers.cell_blocks import CellBlock, CellSplit
from fastitpn.models.layers.onednn import Linear

STRIDES = (4, 8, 16, 32, 64)
"""Strides of `FastITPN.pyramid_features`; the last two are made of 1/16."""


POOLS = ("subsample", "average", "max")


class Coarser(nn.Module):
    """The next coarser level of a map.

    Args:
        pool: "subsample": every second row and column, the published fork's max pooling with a kernel of 1 and stride
            2. "average" and "max": of 2x2, as in iTPN's detectors and segmentation; a last odd row is left out.
    """

    def __init__(self, pool: str = "subsample"):
        super().__init__()
        if pool not in POOLS:
            raise InputError(f"pyramid_pool={pool!r}", expected=f"one of {', '.join(POOLS)}")
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C, ceil(h / 2), ceil(w / 2)], or floor, but never less than 1."""
        return x[..., ::2, ::2] if self.pool == "subsample" else _pool(x, self.pool)


@fx.wrap
def _pool(x: Tensor, pool: str) -> Tensor:
    kernel = [min(2, x.shape[-2]), min(2, x.shape[-1])]
    return F.avg_pool2d(x, kernel, 2) if pool == "average" else F.max_pool2d(x, kernel, 2)


class Pyramid(nn.Module):
    """Top-down pyramid over the three stages, cell by cell.

    Published order (ARCHITECTURE section 2): the split takes the full-width stage 3 map, not its projection.

        x8  = refine8(up8(x16) + lateral8(f8));    x4 = refine4(up4(x8) + lateral4(f4))
        p16 = output16(lateral16(x16));  p8 = output8(x8);  p4 = output4(x4)

    Args:
        embed_dim: Channels of stage 3 (stages 1 and 2 have a quarter and half).
        dim: Channels of every level; at `dim == embed_dim` the 1/16 lateral is absent, as published.
        hidden: Width of the MLPs.
        depth: Refining blocks per level (1/8 and 1/4).
        bias: Whether splits and the finer laterals have biases (Fast-iTPN).
        pool: How the levels at strides 32 and 64 are made, see `Coarser`.
    """

    def __init__(
        self,
        embed_dim: int,
        dim: int,
        hidden: int,
        depth: int = 1,
        *,
        bias: bool = True,
        pool: str = "subsample",
        device=None,
        dtype=None,
    ):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        self.dim, self.hidden = dim, hidden
        self.levels = [0, 1, 2]  # what `forward` returns, 0 being the finest

        def block() -> CellBlock:
            return CellBlock(dim, hidden, sub_norm=False, **dd)

        self.lateral16 = Linear(embed_dim, dim, **dd) if dim != embed_dim else nn.Identity()
        self.up8 = CellSplit(embed_dim, dim, bias=bias, **dd)
        self.lateral8 = Linear(embed_dim // 2, dim, bias=bias, **dd)
        self.refine8 = nn.Sequential(*(block() for _ in range(depth)))
        self.up4 = CellSplit(dim, dim, bias=bias, **dd)
        self.lateral4 = Linear(embed_dim // 4, dim, bias=bias, **dd)
        self.refine4 = nn.Sequential(*(block() for _ in range(depth)))
        self.output16 = block()
        self.output8 = block()
        self.output4 = block()
        self.output32 = Coarser(pool)
        self.output64 = Coarser(pool)

    @property
    def is_pruned(self) -> bool:
        """Whether some level was removed."""
        return len(self.levels) < 3

    def prune(self, levels: list[int]) -> None:
        """Remove what only other levels need.

        Args:
            levels: Places in `STRIDES`; those after the third are made of it.
        """
        self.levels = sorted({min(level, 2) for level in levels})
        unused = [name for i, name in enumerate(("output4", "output8", "output16")) if i not in self.levels]
        if self.levels[0] > 0:
            unused += ["up4", "lateral4", "refine4"]
        if self.levels[0] > 1:
            unused += ["up8", "lateral8", "refine8"]
        if self.levels[-1] < 2:
            unused += ["lateral16"]
        for name in unused:
            setattr(self, name, nn.Identity())

    def forward(self, f4: Tensor, f8: Tensor, x16: Tensor) -> list[Tensor]:
        """Fuse the stages top-down.

        Args:
            f4: Stage 1, [..., 16, embed_dim / 4].
            f8: Stage 2, [..., 4, embed_dim / 2].
            x16: Stage 3, [..., 1, embed_dim].

        Returns:
            The levels at strides 4, 8 and 16, as far as not pruned: [..., 16, dim], [..., 4, dim], [..., 1, dim].
        """
        outputs: list[Tensor] = []  # from coarse to fine
        if 2 in self.levels:
            outputs.append(self.output16(self.lateral16(x16)))
        if self.levels[0] < 2:
            x8 = self.refine8(self.up8(x16) + self.lateral8(f8))
            if 1 in self.levels:
                outputs.append(self.output8(x8))
            if 0 in self.levels:
                x4 = self.refine4(self.up4(x8) + self.lateral4(f4))
                outputs.append(self.output4(x4))
        return outputs[::-1]
