"""Pyramid levels at the stride of patches, where they are summed and predict."""

from torch import Tensor, nn

from fastitpn.models.layers.norm import Norm
from fastitpn.models.layers.onednn import Linear


class LevelMerge(nn.Module):
    """One pyramid level to 1/16: LN, then a convolution whose kernel and stride cover a patch (as a Linear).

    Args:
        cells_per_patch: K.
        dim: Channels of the level.
        out_dim: Channels of a patch.
        apart: As in iTPN: each cell is projected by itself, to its share of the channels.
    """

    def __init__(self, cells_per_patch: int, dim: int, out_dim: int, *, apart: bool = False, device=None, dtype=None):
        super().__init__()
        self.apart, cells = apart, 1 if apart else cells_per_patch
        self.norm = Norm(dim, device=device, dtype=dtype)
        self.proj = Linear(cells * dim, out_dim * cells // cells_per_patch, device=device, dtype=dtype)

    def forward(self, level: Tensor) -> Tensor:
        """[B, N, K, dim] to [B, N, out_dim]."""
        if not self.apart:
            return self.proj(self.norm(level).flatten(2))
        cells = self.proj(self.norm(level))
        if cells.shape[2] == 16:  # theirs are row by row: [y8, x8, y4, x4] to [y8, y4, x8, x4]
            cells = cells.unflatten(2, (2, 2, 2, 2)).transpose(3, 4).flatten(2, 5)
        return cells.flatten(2)
