"""Token gathering: attention in windows, and a few tokens per window that carry news between the windows.

The paper names token gathering as one half of the acceleration; the published code has none of it, so what is here is
our own definition. In a windowed block

1. the patches of a window and its gathering tokens attend with one another (the block's own weights),
2. the gathering tokens of all windows attend with one another (the same weights, layer scale and norm),
3. the feed-forward network acts on all of them.

In a global block all patches attend with all patches, as in the plain model, without gathering tokens. At the start of
every run of windowed blocks each of these is born as the mean of its share of the window's patches, and ends with the
run. In the form `learned` the mean is weighted by what the model learnt to look for, and a vector that it learnt is
added; both start as the plain mean. Checkpoints of the plain model therefore run with gathering, and the reverse.

Here are the settings and the geometry alone, without anything heavy to import; `windows` has what is computed.
"""

import dataclasses
from typing import NamedTuple

from fastitpn.errors import InputError

TOKEN_FORMS = ("mean", "learned")
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
    tokens: str = "mean"
    """`mean`: of its share of the window's patches, without weights; `learned`: weighted by what the model learnt, plus
    what it learnt, which both start as the mean."""

    def __post_init__(self) -> None:
        for name, least in (("window", 1), ("tokens_per_window", 0), ("global_blocks", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise _error(name, value, f"a whole number, {least} or more")
        if self.tokens not in TOKEN_FORMS:
            raise _error("tokens", self.tokens, f"one of {', '.join(TOKEN_FORMS)}")
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
        """Cut a map into as few windows of equal size as `window` (their longest side; None: one window) allows.

        The last row and column of windows have at least one row and column of patches each, so none is all padding.
        """
        rows, columns = (1, 1) if window is None else (-(-height // window), -(-width // window))
        return cls(height, width, rows, columns, -(-height // rows), -(-width // columns))

    @property
    def num_windows(self) -> int:
        """Windows, W."""
        return self.rows * self.columns

    @property
    def fewest_patches(self) -> int:
        """Patches of the map in the window with the fewest."""
        down, right = padding_of(self)
        return (self.window_height - down) * (self.window_width - right)


def padding_of(windows: Windows) -> tuple[int, int]:
    """Rows and columns of windows beyond the map. No property: PyTorch 2.10 cannot compile one of a named tuple."""
    down = windows.rows * windows.window_height - windows.height
    return down, windows.columns * windows.window_width - windows.width


def _error(name: str, value: object, expected: str) -> InputError:
    return InputError(f"{name}={value!r} is out of range", where=f"gathering.{name}", expected=expected)
