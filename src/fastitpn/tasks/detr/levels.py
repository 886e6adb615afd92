"""Several feature maps as one sequence of cells, each of which knows where in its image it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Where the cells of all levels are, N in all.

    Attributes:
        padding: For each level bool [B, h, w], True where a cell has nothing of its image, which lies in the upper
            left corner.
    """

    padding: Sequence[Tensor]

    @classmethod
    def whole(cls, maps: Sequence[Tensor]) -> "Levels":
        """The levels of maps [B, C, h, w] that images fill."""
        return cls(padding=[torch.zeros_like(level[:, 0], dtype=torch.bool) for level in maps])

    @cached_property
    def shapes(self) -> list[Size]:
        """Height and width of each map."""
        return [(mask.shape[-2], mask.shape[-1]) for mask in self.padding]

    @cached_property
    def padded(self) -> Tensor:
        """Bool [B, N], `padding` as a sequence."""
        return torch.cat([mask.flatten(1) for mask in self.padding], 1)

    @cached_property
    def counts(self) -> Tensor:
        """float32 [B, levels, 2], columns and rows of each map that have something of the image."""
        sides = [torch.stack([(~mask[:, 0]).sum(1), (~mask[:, :, 0]).sum(1)], -1) for mask in self.padding]
        return torch.stack(sides, 1).float()

    @cached_property
    def ratios(self) -> Tensor:
        """float32 [B, levels, 2], `counts` as shares of width and height: the valid ratios of Deformable DETR."""
        return self.counts / self._spatial_shapes.flip(-1)

    @cached_property
    def references(self) -> Tensor:
        """float32 [B, N, levels, 2], where each cell's centre (x, y) is on each level, as a share of its map."""
        sides = self.ratios * self._spatial_shapes.flip(-1)  # [B, levels, 2]
        centres = [
            centre / side[:, None] for centre, side in zip(self.cell_centres, sides.unbind(1), strict=True)
        ]  # [B, h * w, 2]
        return torch.cat(centres, 1)[:, :, None] * self.ratios[:, None]

    @cached_property
    def for_attention(self) -> dict[str, Any]:
        """The shapes, in the forms in which transformers' deformable attention takes them."""
        cells = self._spatial_shapes.prod(1)
        return {
            "spatial_shapes": self._spatial_shapes,
            "spatial_shapes_list": self.shapes,
            "level_start_index": cells.cumsum(0) - cells,
        }

    @cached_property
    def cell_centres(self) -> list[Tensor]:
        """float32 [h * w, 2] of each level, x and y in cells, row by row."""
        device, centres = self.padding[0].device, []
        for height, width in self.shapes:
            rows, columns = (torch.arange(side, device=device) + 0.5 for side in (height, width))
            centres.append(torch.stack((columns.expand(height, -1), rows[:, None].expand(-1, width)), -1).flatten(0, 1))
        return centres

    def split(self, x: Tensor) -> list[Tensor]:
        """[B, N, C] to the maps [B, C, h, w]."""
        parts = x.split([height * width for height, width in self.shapes], 1)
        return [part.transpose(1, 2).unflatten(2, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    @cached_property
    def _spatial_shapes(self) -> Tensor:
        """int64 [levels, 2], counted: a number for `torch.tensor` would be a constant of a graph that is traced."""
        device = self.padding[0].device
        return torch.stack(
            [torch.stack([torch.ones(side, dtype=torch.int64, device=device).sum() for side in s]) for s in self.shapes]
        )


def flatten(maps: Sequence[Tensor]) -> Tensor:
    """Maps [B, C, h, w] to one sequence [B, N, C]."""
    return torch.cat([level.flatten(2).transpose(1, 2) for level in maps], 1)


def padding_of(sizes: Sequence[Size], canvas: Size, device: torch.device) -> Tensor:
    """Bool [B, H, W], True where a canvas has nothing of its image.

    Args:
        sizes: Height and width of each image, in the upper left corner.
        canvas: Height and width of all.
        device: Where the result is made.
    """
    inner = torch.tensor(sizes, device=device)[:, :, None]  # [B, 2, 1]
    below, right = (torch.arange(side, device=device) >= inner[:, axis] for axis, side in enumerate(canvas))
    return below[:, :, None] | right[:, None]


def blank_of(canvas: Tensor) -> Tensor:
    """Bool [B, H, W], True in the rows and columns behind the last pixel of an image, which are exactly zero.

    What a graph can know of padding, to which no sizes are given. An image that is zero everywhere has none.

    Args:
        canvas: [B, 3, H, W], normalised: a pixel of an image is zero in all channels next to never.
    """
    there = (canvas != 0).any(1)  # [B, H, W]
    sides = []
    for rest in (2, 1):
        places = torch.arange(there.shape[3 - rest], device=canvas.device)
        last = torch.where(there.any(rest), places, -1).amax(1, keepdim=True)
        sides.append((places > last) & (last >= 0))
    return sides[0][:, :, None] | sides[1][:, None]
