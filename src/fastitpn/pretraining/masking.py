"""Which 16x16 patches the student does not see: block-wise masks as in BEiT (arXiv 2106.08254, algorithm 1)."""

import math
import random
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from torch import Tensor

from fastitpn.errors import InputError

_TRIES_PER_BLOCK = 10


@dataclass(frozen=True)
class RandomMasks:
    """Masks of `num_masked` patches drawn one by one.

    Raises:
        InputError: `num_masked` is not between 0 and height * width - 1.
    """

    grid: tuple[int, int]
    """Patches in height and width."""
    num_masked: int
    """Patches to hide."""

    def __post_init__(self) -> None:
        _check_count(self.grid, self.num_masked, least=0)

    def __call__(self, rng: random.Random) -> Tensor:
        """Draws a mask: bool [height * width], row-major, True = hidden."""
        masked = np.zeros(math.prod(self.grid), dtype=bool)
        masked[rng.sample(range(masked.size), self.num_masked)] = True
        return torch.from_numpy(masked)


@dataclass(frozen=True)
class BlockMasks:
    """Masks made of rectangles, which overlap until about `num_masked` patches are hidden.

    `num_masked` is an upper bound: drawing stops when ten tries in a row find no rectangle that adds between 1 and the
    remaining number of patches. With the same `random.Random` the masks equal those of the published code.
    At least one patch is hidden, however small the grid.

    Raises:
        InputError: A value is out of its range.
    """

    grid: tuple[int, int]
    """Patches in height and width."""
    num_masked: int
    """Most patches to hide; 75 of 14x14 and 105 of 16x16 in the published runs."""
    _: KW_ONLY
    min_block: int = 16
    """Fewest patches drawn for a rectangle; in grids smaller than 14x14 fewer, in proportion."""
    max_block: int | None = None
    """Most patches of a rectangle; None: no limit but `num_masked`."""
    min_aspect: float = 0.3
    """Flattest rectangle: its short side over its long side."""
    exact: bool = False
    """Hide single patches at random until exactly `num_masked` are hidden."""

    def __post_init__(self) -> None:
        _check_count(self.grid, self.num_masked)
        smallest, largest = self._areas()
        if self.min_block < 1 or smallest > largest:
            raise InputError(
                f"min_block is {self.min_block} and max_block {self.max_block}",
                where=f"masks of {self.num_masked} patches on a {self.grid[0]}x{self.grid[1]} grid",
                expected="1 <= min_block <= max_block",
                fix="mask.min_block=16 mask.max_block=null",
            )
        if not 0 < self.min_aspect <= 1:
            raise InputError(
                f"min_aspect is {self.min_aspect}", expected="0 < min_aspect <= 1", fix="mask.min_aspect=0.3"
            )

    def __call__(self, rng: random.Random) -> Tensor:
        """Draws a mask: bool [height * width], row-major, True = hidden."""
        grid = np.zeros(self.grid, dtype=bool)
        smallest, largest = self._areas()
        hidden = 0
        while hidden < self.num_masked:
            added = self._add_block(grid, smallest, min(self.num_masked - hidden, largest), rng)
            if added == 0:
                break
            hidden += added
        masked = grid.reshape(-1)  # [height * width]
        missing = (self.num_masked if self.exact else 1) - hidden
        if missing > 0:
            masked[rng.sample(np.flatnonzero(~masked).tolist(), missing)] = True
        return torch.from_numpy(masked)

    def _areas(self) -> tuple[int, int]:
        scaled = round(self.min_block * min(1, math.prod(self.grid) / 14**2))
        return max(1, min(scaled, self.num_masked)), self.num_masked if self.max_block is None else self.max_block

    def _add_block(self, masked: np.ndarray, smallest: int, largest: int, rng: random.Random) -> int:
        """Hides one more rectangle in `masked` [height, width]; returns how many patches it added (0: none fitted)."""
        grid_height, grid_width = masked.shape
        flattest, tallest = math.log(self.min_aspect), math.log(1 / self.min_aspect)
        for _ in range(_TRIES_PER_BLOCK):  # The order of the random calls is that of the published code.
            area = rng.uniform(smallest, largest)
            aspect = math.exp(rng.uniform(flattest, tallest))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            # A rectangle never spans the grid, except in a grid that is a single row or column.
            if height > max(1, grid_height - 1) or width > max(1, grid_width - 1):
                continue
            top, left = rng.randint(0, grid_height - height), rng.randint(0, grid_width - width)
            block = masked[top : top + height, left : left + width]
            added = block.size - int(np.count_nonzero(block))
            if 0 < added <= largest:
                block[:] = True
                return added
        return 0


def _check_count(grid: tuple[int, int], num_masked: int, *, least: int = 1) -> None:
    num_patches = math.prod(grid)
    if not least <= num_masked < num_patches:
        raise InputError(
            f"{num_masked} masked patches do not fit a {grid[0]}x{grid[1]} grid",
            expected=f"{least} to {num_patches - 1} masked of {num_patches} patches",
            fix="mask.ratio=0.4, or a larger px",
        )
