"""Relative position biases of the published classifier: they need a class token and run at one input size.

No released model uses them; they are here so that every published configuration can be built.
"""

import torch
from torch import Tensor, nn

from fastitpn.errors import InputError

KINDS = ("own", "shared", "shared_decoupled")


class RelativePositionBias(nn.Module):
    """One learned number per head and offset (query minus key), in BEiT's layout; the last three are the class token's.

    Args:
        grid: Patches per column and per row (h, w).
        num_heads: Attention heads.
    """

    def __init__(self, grid: tuple[int, int], num_heads: int, device=None, dtype=None):
        super().__init__()
        height, width = grid
        rows = (2 * height - 1) * (2 * width - 1) + 3
        self.grid = grid
        self.table = nn.Parameter(torch.empty(rows, num_heads, device=device, dtype=dtype))

    def init_relative_position(self) -> None:
        """Fill the table with start values."""
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self) -> Tensor:
        """The bias, [1, heads, 1 + h * w, 1 + h * w]."""
        height, width = self.grid
        down, right = _offsets(height, width, self.table.device)
        index = (down + height - 1) * (2 * width - 1) + right + width - 1
        return _look_up(self.table, index)


class DecoupledRelativePositionBias(nn.Module):
    """The sum of a bias for the vertical and one for the horizontal offset (key minus query)."""

    def __init__(self, grid: tuple[int, int], num_heads: int, device=None, dtype=None):
        super().__init__()
        self.grid = grid
        self.table_high = nn.Parameter(torch.empty(2 * grid[0] + 2, num_heads, device=device, dtype=dtype))
        self.table_width = nn.Parameter(torch.empty(2 * grid[1] + 2, num_heads, device=device, dtype=dtype))

    def init_relative_position(self) -> None:
        """Fill the tables with start values."""
        nn.init.trunc_normal_(self.table_high, std=0.02)
        nn.init.trunc_normal_(self.table_width, std=0.02)

    def forward(self) -> Tensor:
        """The bias, [1, heads, 1 + h * w, 1 + h * w]."""
        height, width = self.grid
        down, right = _offsets(height, width, self.table_high.device)
        vertical = _look_up(self.table_high, height - 1 - down)
        return vertical + _look_up(self.table_width, width - 1 - right)


def create_relative_position_bias(
    kind: str | None, grid: tuple[int, int], num_heads: int, device=None, dtype=None
) -> RelativePositionBias | DecoupledRelativePositionBias | None:
    """The bias of a kind in `KINDS`; None for None."""
    if kind is None:
        return None
    if kind not in KINDS:
        raise InputError(f"relative_position={kind!r}", expected=f"None or one of {', '.join(KINDS)}")
    cls = DecoupledRelativePositionBias if kind == "shared_decoupled" else RelativePositionBias
    return cls(grid, num_heads, device=device, dtype=dtype)


def _offsets(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and columns from each key to each query, [h * w, h * w] both."""
    rows = torch.arange(height, device=device).repeat_interleave(width)
    columns = torch.arange(width, device=device).repeat(height)
    return rows[:, None] - rows[None, :], columns[:, None] - columns[None, :]


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """Add the class token to an index over patches and look it up; [1, heads, 1 + N, 1 + N]."""
    size = index.shape[0] + 1
    full = torch.empty(size, size, dtype=torch.long, device=table.device)
    full[1:, 1:] = index
    full[0, :] = table.shape[0] - 3  # from the class token
    full[:, 0] = table.shape[0] - 2  # to the class token
    full[0, 0] = table.shape[0] - 1
    return table[full].permute(2, 0, 1).unsqueeze(0)
