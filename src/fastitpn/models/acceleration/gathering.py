"""Token gathering: attention in windows, and a few tokens per window that carry news between the windows.

The paper names token gathering as one half of the acceleration; the published code has none of it, so what is here is
our own definition. In a windowed block

1. the patches of a window and its gathering tokens attend with one another (the block's own weights),
2. the gathering tokens of all windows attend with one another (the same weights, layer scale and norm),
3. the feed-forward network acts on all of them.

In a global block all patches attend with all patches, as in the plain model, without gathering tokens. These have no
parameters: at the start of every run of windowed blocks each is born as the mean of its share of the window's patches,
and ends with the run. Checkpoints of the plain model therefore run with gathering, and the reverse.
"""

import dataclasses
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.errors import InputError

MOST_TOKENS = 4
"""Gathering tokens per window at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gathering:
    """Attention in windows with gathering tokens, in stage 3."""

    window: int = 8
    """Longest side of a window in patches. A map is cut in as few windows of equal size as that allows, so that little
    is padded: 14 patches with window 8 are two windows of 7. A map no larger than the window is attended globally."""
    tokens_per_window: int = 1
    """Gathering tokens per window, 0 to 4. 0: nothing passes between windows but in global blocks."""
    global_blocks: int = 4
    """Blocks with global attention, 0 to all of stage 3, evenly spaced; the last block is one of them."""

    def __post_init__(self) -> None:
        for name, least in (("window", 1), ("tokens_per_window", 0), ("global_blocks", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise _error(name, value, f"a whole number, {least} or more")
        most = min(MOST_TOKENS, self.window**2)
        if self.tokens_per_window > most:
            why = f"a window has {self.window**2} patches at most" if most < MOST_TOKENS else "per window"
            raise _error("tokens_per_window", self.tokens_per_window, f"0 to {most} ({why})")

    def check(self, depth: int, grid: tuple[int, int]) -> None:
        """Raise unless this fits a model.

        Args:
            depth: Blocks of stage 3.
            grid: The model's native map, patches per column and per row.

        Raises:
            InputError: Names the key and its range.
        """
        if self.global_blocks > depth:
            raise _error("global_blocks", self.global_blocks, f"0 to {depth} (the blocks of stage 3)")
        if self.window > max(grid):
            raise _error("window", self.window, f"1 to {max(grid)} (the map has {grid[0]}x{grid[1]} patches)")
        windows = Windows.cut(*grid, self.window)
        patches = windows.window_height * windows.window_width
        if windows.num_windows > 1 and self.tokens_per_window > patches:
            size = f"{windows.window_height}x{windows.window_width}"
            raise _error("tokens_per_window", self.tokens_per_window, f"0 to {patches} (windows are {size} patches)")

    def runs(self, depth: int) -> list[tuple[bool, int, int]]:
        """Runs of blocks of one kind: (whether they are windowed, first block, block after the last)."""
        global_blocks = min(self.global_blocks, depth)
        are_global = {(k + 1) * depth // global_blocks - 1 for k in range(global_blocks)}
        runs: list[tuple[bool, int, int]] = []
        for number in range(depth):
            windowed = number not in are_global
            if runs and runs[-1][0] == windowed:
                runs[-1] = (windowed, runs[-1][1], number + 1)
            else:
                runs.append((windowed, number, number + 1))
        return runs


class Windows(NamedTuple):
    """How a map is cut: `rows` x `columns` windows of one size, row by row; those at the end may be padded."""

    height: int
    """Patches per column of the map."""
    width: int
    """Patches per row of the map."""
    rows: int
    columns: int
    window_height: int
    window_width: int

    @classmethod
    def cut(cls, height: int, width: int, window: int | None) -> "Windows":
        """As few windows of equal size as `window` (their longest side; None: one window) allows.

        The last row and column of windows have at least one row and column of patches each, so none is all padding.
        """
        rows, columns = (1, 1) if window is None else (-(-height // window), -(-width // window))
        return cls(height, width, rows, columns, -(-height // rows), -(-width // columns))

    @property
    def num_windows(self) -> int:
        """Windows, W."""
        return self.rows * self.columns

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns beyond the map."""
        return self.rows * self.window_height - self.height, self.columns * self.window_width - self.width

    @property
    def fewest_patches(self) -> int:
        """Patches of the map in the window with the fewest."""
        down, right = self.padding
        return (self.window_height - down) * (self.window_width - right)

    def split(self, x: Tensor) -> Tensor:
        """Raster order to window order: [B, height * width, C] to [B, W, n, C], zeros where there is no patch."""
        x = x.unflatten(1, (self.height, self.width))
        down, right = self.padding
        if down > 0 or right > 0:
            x = F.pad(x, (0, 0, 0, right, 0, down))
        x = x.unflatten(2, (self.columns, self.window_width)).unflatten(1, (self.rows, self.window_height))
        return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # from [B, rows, h, columns, w, C]

    def join(self, x: Tensor) -> Tensor:
        """The inverse of `split`: [B, W, n, C] to [B, height * width, C]."""
        x = x.unflatten(2, (self.window_height, self.window_width)).unflatten(1, (self.rows, self.columns))
        x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # [B, padded height, padded width, C]
        return x[:, : self.height, : self.width].flatten(1, 2)

    def sizes(self, x: Tensor) -> Tensor | None:
        """How many patches each of the split tokens x [B, W, n, C] stands for: [B, W, n], 1, and 0 for padding.

        None without any padding.
        """
        if self.padding == (0, 0):
            return None
        patches = torch.ones(1, self.height * self.width, 1, device=x.device)
        return self.split(patches).squeeze(3).expand(x.shape[0], -1, -1)


def gathering_tokens(x: Tensor, sizes: Tensor | None, count: int) -> Tensor:
    """Newly born gathering tokens: each the mean of a run of its window's tokens, in their order.

    Args:
        x: [B, W, n, D], the tokens of W windows.
        sizes: [B, W, n], how many patches each stands for and counts as; None: all alike. No window may be empty.
        count: G, gathering tokens per window (`n` where that is less).

    Returns:
        [B, W, G, D]. The mean of the whole window where a share of it is nothing but padding.
    """
    n = x.shape[2]
    count = min(count, n)
    born = []
    for k in range(count):
        share = slice(k * n // count, (k + 1) * n // count)
        some = None if sizes is None else sizes[:, :, share]
        token = mean_token(x[:, :, share], some)
        if sizes is not None and some is not None and count > 1:
            token = torch.where(some.sum(-1)[..., None, None] > 0, token, mean_token(x, sizes))
        born.append(token)
    return torch.cat(born, dim=2)


def mean_token(x: Tensor, sizes: Tensor | None) -> Tensor:
    """Mean over the last but one axis, [..., n, D] to [..., 1, D]; weighted by sizes [..., n] if given."""
    if sizes is None:
        return x.mean(-2, keepdim=True)
    weights = sizes / sizes.sum(-1, keepdim=True).clamp(min=1)
    return (x * weights.unsqueeze(-1).to(x.dtype)).sum(-2, keepdim=True)


def attention_mask(sizes: Tensor | None, groups: int, front: int, dtype: torch.dtype) -> Tensor | None:
    """What is added to the attention logits so that a key counts as often as the patches that it stands for.

    With logits q.k + log(size) a token of size 3 draws as much attention as three tokens alike; padding draws none.

    Args:
        sizes: [B, W, n], or None where all are 1.
        groups: Attention takes place in this many groups per image: W windows, or 1 for all of the map.
        front: Tokens in front of every group, of size 1.
        dtype: Of the tokens.

    Returns:
        [B * groups, 1, 1, front + n'], as `Attention` takes it, or None.
    """
    if sizes is None:
        return None
    logits = sizes.reshape(sizes.shape[0] * groups, 1, 1, -1).log().to(dtype)
    return F.pad(logits, (front, 0)) if front > 0 else logits


def _error(name: str, value: object, expected: str) -> InputError:
    return InputError(f"{name}={value!r} is out of range", where=f"gathering.{name}", expected=expected)
