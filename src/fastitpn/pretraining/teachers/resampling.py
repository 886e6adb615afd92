"""A teacher's features on the grid of each of the student's levels."""

import math

import torch.nn.functional as F
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.layers.cells import cells_to_map, map_to_cells


def to_grid(cells: Tensor, patches: int) -> Tensor:
    """Targets of a square map on the grid of a student that sees a smaller or larger image.

    Args:
        cells: [B, M, cells, D], M patches of the teacher.
        patches: N, those of the student.

    Returns:
        [B, N, cells, D].
    """
    if cells.shape[1] == patches:
        return cells
    side, wanted, per_side = (math.isqrt(number) for number in (cells.shape[1], patches, cells.shape[2]))
    size = (wanted * per_side, wanted * per_side)
    maps = F.interpolate(cells_to_map(cells, side, side).float(), size, mode="bilinear", antialias=True)
    return map_to_cells(maps, cells.shape[2])


def to_cells(features: Tensor, *, cells: int, upsample: int) -> Tensor:
    """Features of a square map to the cells of a level: averaged to coarser ones, interpolated to finer ones.

    Args:
        features: [B, M, D] row by row, with M = N * upsample^2 for N patches of the student.
        cells: Cells of each patch: 1, 4 or 16.
        upsample: Features per side of a patch.

    Returns:
        [B, N, cells, D].
    """
    side, wanted = math.isqrt(features.shape[1]), math.isqrt(cells)
    if side * side != features.shape[1] or side % upsample:
        raise InputError(
            f"the teacher gives {features.shape[1]} features an image",
            where="teacher",
            expected=f"a square map of {upsample} x {upsample} features for each patch of the student",
            fix="another teacher, or another teacher.px",
        )
    if wanted == upsample == 1:
        return features.unsqueeze(2)
    maps = features.transpose(1, 2).unflatten(2, (side, side))  # [B, D, side, side]
    if wanted < upsample:
        maps = F.avg_pool2d(maps, upsample // wanted)
    elif wanted > upsample:
        maps = F.interpolate(maps, scale_factor=wanted / upsample, mode="bilinear")
    return map_to_cells(maps, cells)
