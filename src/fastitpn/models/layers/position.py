"""Resizing of the absolute position table, in the forms that exist in the field."""

import torch
import torch.nn.functional as F
from torch import Tensor

RESIZE_FORMS = ("size", "scale_factor", "align_corners", "crop")


def resize_position_table(
    table: Tensor, old_height: int, old_width: int, height: int, width: int, form: str = "size"
) -> Tensor:
    """Resize a position table to another grid, bicubic, in float32; leading (class token) rows are kept.

    Args:
        table: [1, P + old_height * old_width, D].
        old_height: Rows of the grid the table belongs to.
        old_width: Columns of that grid.
        height: Rows wanted.
        width: Columns wanted.
        form: "size" is what the published Fast-iTPN does when it loads a file; "scale_factor" is what iTPN does at run
            time (sampling grid from the factor (height + 0.1) / old_height: not the same numbers); "align_corners" is
            what SUTrack, MCITrack and UETrack call `interpolate`; "crop" is what they call `index`: the upper left part
            of the table for a grid that fits into it, and "align_corners" for any other.

    Returns:
        [1, P + height * width, D] in the table's dtype.
    """
    if isinstance(height, int) and height == old_height and width == old_width:  # in a graph for any size it is none
        return table
    return resample_position_table(table, old_height, old_width, height, width, form)


def resample_position_table(
    table: Tensor, old_height: int, old_width: int, height: int, width: int, form: str = "size"
) -> Tensor:
    """As `resize_position_table`, also to the grid that the table has: "scale_factor" does not keep it even then."""
    prefix = table.shape[1] - old_height * old_width
    grid = table[:, prefix:].float().reshape(1, old_height, old_width, -1).permute(0, 3, 1, 2)
    if form == "crop" and height <= old_height and width <= old_width:
        grid = grid[..., :height, :width]
    elif form == "scale_factor":
        scale = ((height + 0.1) / old_height, (width + 0.1) / old_width)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", recompute_scale_factor=False)
    else:
        corners = form in ("align_corners", "crop")
        grid = F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=corners)
    rows = grid.permute(0, 2, 3, 1).flatten(1, 2).to(table.dtype)  # [1, height * width, D]
    return torch.cat((table[:, :prefix], rows), dim=1) if prefix > 0 else rows
