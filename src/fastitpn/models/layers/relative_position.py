"""Relative position biases: what is added to the logits of attention for the offset of two patches.

Those of the published Fast-iTPN need a class token and run at one input size; no released model uses them. Those of
iTPN and HiViT have tables for patches alone, which are resized to the map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from fastitpn.errors import InputError

KINDS = ("own", "shared", "shared_decoupled", "decomposed")
OF_BLOCKS = ("own", "decomposed")
"""Those of which every block has its own."""


class RelativePositionBias(nn.Module):
    """One learned number per head and offset (query minus key), in BEiT's layout; the last three are the class token's.

    Args:
        grid: Patches per column and per row (h, w).
        num_heads: Attention heads.
        class_token: Whether there are rows for a class token; without them the table follows another map.
    """

    def __init__(self, grid: tuple[int, int], num_heads: int, *, class_token: bool = True, device=None, dtype=None):
        super().__init__()
        height, width = grid
        rows = (2 * height - 1) * (2 * width - 1) + 3 * int(class_token)
        self.grid, self.class_token = grid, class_token
        self.table = nn.Parameter(torch.empty(rows, num_heads, device=device, dtype=dtype))

    def init_relative_position(self) -> None:
        """Fill the table with start values."""
        nn.init.trunc_normal_(self.table, std=0.02)

    def resize_(self, grid: tuple[int, int]) -> None:
        """Make another map the native one."""
        table = resize_relative_table(self.table.detach(), *self.grid, *grid)
        self.table, self.grid = nn.Parameter(table.clone(), requires_grad=self.table.requires_grad), grid

    def forward(self, q: Tensor, height: int, width: int) -> Tensor:
        """The bias of a map, [1, heads, N, N]; with a class token that of the native one, [1, heads, 1 + N, 1 + N].

        Args:
            q: Queries, which this bias does not depend on.
            height: Rows of the map, N = height * width.
            width: Columns of the map.
        """
        if not self.class_token:
            return _spread_table(self.table, self.grid[0], self.grid[1], height, width)
        down, right = _offsets(self.grid[0], self.grid[1], self.table.device)
        index = (down + self.grid[0] - 1) * (2 * self.grid[1] - 1) + right + self.grid[1] - 1
        return _look_up(self.table, index)

    @torch.jit.unused
    def of_places(self, places: Tensor, height: int, width: int) -> Tensor:
        """The bias of some patches of a map, [B, heads, n, n].

        Args:
            places: [B, n], the patches' places in raster order; the tables have no rows for a class token.
            height: Rows of the map.
            width: Columns of the map.
        """
        table = resize_relative_table(self.table, *self.grid, height, width)
        rows, columns = places // width, places % width
        down, right = (side.unsqueeze(2) - side.unsqueeze(1) for side in (rows, columns))
        index = (down + height - 1) * (2 * width - 1) + right + width - 1
        return table.t().index_select(1, index.flatten()).unflatten(1, index.shape).transpose(0, 1)


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

    def forward(self, q: Tensor, height: int, width: int) -> Tensor:
        """The bias of the native map, [1, heads, 1 + h * w, 1 + h * w]; the arguments are not used."""
        down, right = _offsets(self.grid[0], self.grid[1], self.table_high.device)
        vertical = _look_up(self.table_high, self.grid[0] - 1 - down)
        return vertical + _look_up(self.table_width, self.grid[1] - 1 - right)


class DecomposedRelativePosition(nn.Module):
    """ViTDet's: the query's product with a learned vector for the vertical, and one for the horizontal offset.

    Args:
        grid: Patches per column and per row (h, w).
        head_dim: Channels of a head; all heads have the same vectors.
    """

    def __init__(self, grid: tuple[int, int], head_dim: int, device=None, dtype=None):
        super().__init__()
        self.grid = grid
        self.table_high = nn.Parameter(torch.empty(2 * grid[0] - 1, head_dim, device=device, dtype=dtype))
        self.table_width = nn.Parameter(torch.empty(2 * grid[1] - 1, head_dim, device=device, dtype=dtype))

    def init_relative_position(self) -> None:
        """Fill the tables with start values: nothing is added at first."""
        nn.init.zeros_(self.table_high)
        nn.init.zeros_(self.table_width)

    def resize_(self, grid: tuple[int, int]) -> None:
        """Make another map the native one."""
        for name, length in (("table_high", grid[0]), ("table_width", grid[1])):
            table = getattr(self, name)
            resized = resize_offset_vectors(table.detach(), length).clone()
            setattr(self, name, nn.Parameter(resized, requires_grad=table.requires_grad))
        self.grid = grid

    def forward(self, q: Tensor, height: int, width: int) -> Tensor:
        """The bias of a map.

        Args:
            q: Queries, not scaled, [B, heads, N, head_dim].
            height: Rows of the map, N = height * width.
            width: Columns of the map.

        Returns:
            [B, heads, N, N].
        """
        maps = q.unflatten(2, [height, width])  # [B, heads, h, w, head_dim]
        down = torch.einsum("bnhwc,hkc->bnhwk", maps, _vectors(self.table_high, height))
        right = torch.einsum("bnhwc,wkc->bnhwk", maps, _vectors(self.table_width, width))
        return (down.unsqueeze(-1) + right.unsqueeze(-2)).flatten(4).flatten(2, 3)


def initialize_relative_positions(model: nn.Module) -> None:
    """Fill all tables of a model with start values."""
    for module in model.modules():
        if isinstance(module, RelativePositionBias | DecoupledRelativePositionBias | DecomposedRelativePosition):
            module.init_relative_position()


def create_relative_position_bias(
    kind: str | None,
    grid: tuple[int, int],
    num_heads: int,
    *,
    head_dim: int,
    class_token: bool = True,
    device=None,
    dtype=None,
) -> RelativePositionBias | DecoupledRelativePositionBias | DecomposedRelativePosition | None:
    """The bias of a kind in `KINDS`; None for None."""
    dd = {"device": device, "dtype": dtype}
    if kind is None:
        return None
    if kind not in KINDS:
        raise InputError(f"relative_position={kind!r}", expected=f"None or one of {', '.join(KINDS)}")
    if kind == "decomposed":
        return DecomposedRelativePosition(grid, head_dim, **dd)
    if kind == "shared_decoupled":
        return DecoupledRelativePositionBias(grid, num_heads, **dd)
    return RelativePositionBias(grid, num_heads, class_token=class_token, **dd)


@fx.wrap
def resize_relative_table(table: Tensor, old_height: int, old_width: int, height: int, width: int) -> Tensor:
    """Resize a table of offsets in a map to another map, bicubic, in float32.

    Args:
        table: [(2 * old_height - 1) * (2 * old_width - 1), heads].
        old_height: Rows of the map that it belongs to.
        old_width: Columns of that map.
        height: Rows wanted.
        width: Columns wanted.

    Returns:
        [(2 * height - 1) * (2 * width - 1), heads] in the table's dtype.
    """
    if isinstance(height, int) and height == old_height and width == old_width:
        return table
    plane = table.float().t().reshape(1, -1, 2 * old_height - 1, 2 * old_width - 1)
    plane = F.interpolate(plane, size=(2 * height - 1, 2 * width - 1), mode="bicubic")
    return plane.flatten(2).squeeze(0).t().to(table.dtype)


@fx.wrap
def resize_offset_vectors(table: Tensor, length: int) -> Tensor:
    """Resize vectors of the offsets along a side to a side of another length, linearly: [2 * old - 1, C]."""
    if isinstance(length, int) and table.shape[0] == 2 * length - 1:
        return table
    rows = F.interpolate(table.float().t().unsqueeze(0), size=2 * length - 1, mode="linear")
    return rows.squeeze(0).t().to(table.dtype)


@fx.wrap
def _spread_table(table: Tensor, old_height: int, old_width: int, height: int, width: int) -> Tensor:
    """The row for the offset of every two patches, [1, heads, N, N]: row r - s of a table, for query r and key s."""
    table = resize_relative_table(table, old_height, old_width, height, width)
    plane = table.t().contiguous().view(-1, 2 * height - 1, 2 * width - 1)
    # Windows of the plane, each read backwards: not one index a pair, which is several times slower
    across = plane.flip([1, 2]).unfold(2, width, 1).flip([2])  # [heads, s - r, column of r, column of s]
    if not torch.jit.is_scripting():
        if not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
            across = across.transpose(1, 2).contiguous()
            rows = [across[:, :, height - 1 - row : 2 * height - 1 - row] for row in range(height)]
            return torch.stack(rows, 1).flatten(3).flatten(1, 2).unsqueeze(0)  # copied once
    windows = across.unfold(1, height, 1).flip([1])  # [heads, h, w, w, h]
    return windows.transpose(3, 4).reshape(1, -1, height * width, height * width)


@fx.wrap
def _vectors(table: Tensor, length: int) -> Tensor:
    """The vector for the offset of every query and key along a side, [length, length, C]."""
    table = resize_offset_vectors(table, length)
    return table.flip([0]).unfold(0, length, 1).flip([0]).transpose(1, 2)


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
