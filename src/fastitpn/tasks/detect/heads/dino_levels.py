"""Several feature maps as one sequence of cells, each of which knows where in its image it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastitpn.tasks.detect.heads.base import Size

_TEMPERATURE = 10000.0


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Where the cells of all levels are, N in all.

    Attributes:
        shapes: Height and width of each map.
        centres: float32 [B, N, 2], x and y of each cell as shares of its image; above 1 in the padding.
        inside: bool [B, N], whether a cell has something of its image.
        ratios: float32 [B, levels, 2], width and height of the image as shares of each map.
    """

    shapes: list[Size]
    centres: Tensor
    inside: Tensor
    ratios: Tensor

    @classmethod
    def of(cls, maps: Sequence[Tensor], strides: Sequence[int], sizes: Sequence[Size] | Tensor) -> "Levels":
        """The levels of maps [B, C, h, w] with these strides, of images of these sizes, as numbers or [B, 2]."""
        device = maps[0].device
        width_height = torch.as_tensor(sizes, device=device, dtype=torch.float32).flip(-1)  # [B, 2]
        shapes = [(level.shape[-2], level.shape[-1]) for level in maps]
        centres, inside, ratios = [], [], []
        for (height, width), stride in zip(shapes, strides, strict=True):
            rows, columns = (torch.arange(count, device=device) * stride for count in (height, width))
            corners = torch.cartesian_prod(rows, columns).flip(-1).float()  # [h * w, 2], x and y in pixels
            centres.append((corners + stride / 2) / width_height[:, None])
            inside.append((corners < width_height[:, None]).all(-1))
            ratios.append(width_height / (stride * as_numbers((width, height), device)))
        return cls(
            shapes=shapes, centres=torch.cat(centres, 1), inside=torch.cat(inside, 1), ratios=torch.stack(ratios, 1)
        )

    @property
    def for_attention(self) -> dict[str, Any]:
        """The shapes, in the forms in which transformers' deformable attention takes them."""
        shapes = torch.stack([as_numbers(shape, self.centres.device) for shape in self.shapes])
        counts = shapes.prod(1)
        return {
            "spatial_shapes": shapes,
            "spatial_shapes_list": self.shapes,
            "level_start_index": counts.cumsum(0) - counts,
        }

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """[B, N, C] to the parts of each level."""
        return x.split([height * width for height, width in self.shapes], 1)


def as_numbers(sides: Sequence[int], device: torch.device) -> Tensor:
    """int64 [n], counted: a number for `torch.tensor` would be a constant of a traced graph that leaves it open."""
    return torch.stack([torch.ones(side, dtype=torch.int64, device=device).sum() for side in sides])


def flatten_levels(maps: Sequence[Tensor]) -> list[Tensor]:
    """[B, C, h, w] to [B, h * w, C]."""
    return [level.flatten(2).transpose(1, 2) for level in maps]


def sine_positions(centres: Tensor, width: int) -> Tensor:
    """Sines and cosines of places at frequencies that fall geometrically (Vaswani et al., 2017, for two axes).

    Args:
        centres: [..., 2], as shares of the image.
        width: Numbers for each place, a multiple of 4.

    Returns:
        [..., width].
    """
    quarter = width // 4
    frequencies = _TEMPERATURE ** (-torch.arange(quarter, device=centres.device) / quarter)
    angles = 2 * math.pi * centres[..., None] * frequencies  # [..., 2, width / 4]
    return torch.cat((angles.sin(), angles.cos()), -1).flatten(-2)
