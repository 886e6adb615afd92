"""Masks that queries draw on a whole canvas: at another size, inside of their boxes, and the boxes around them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.tasks.detect.heads.base import Size
from fastitpn.tasks.maskdino.inference import resize_masks

CELL = 4
"""Stride of the masks."""
_AT_ONCE = 16
"""Masks that are resized together."""
_SIDE = 56
"""Of masks inside of boxes."""


def draw_masks(drawn: Tensor, size: Size, wanted: Size) -> Tensor:
    """Masks bool [n, *wanted] of an image, from logits [n, H / 4, W / 4] of the canvas that it is in with a size."""
    canvas = (CELL * drawn.shape[-2], CELL * drawn.shape[-1])
    masks = torch.zeros(len(drawn), *wanted, dtype=torch.bool, device=drawn.device)
    for first in range(0, len(drawn), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        masks[part] = resize_masks(drawn[part], canvas, size, wanted) > 0
    return masks


def masks_in_boxes(drawn: Tensor, corners: Tensor) -> Tensor:
    """Probabilities [B, n, m, m] of masks, logits [B, n, h, w], inside of boxes [B, n, 4] in shares of the map."""
    places = (torch.arange(_SIDE, device=drawn.device) + 0.5) / _SIDE
    low, high = corners[..., :2, None], corners[..., 2:, None]
    x, y = (2 * (low + (high - low) * places) - 1).unbind(2)  # [B, n, m] each
    rows, columns = y[..., :, None].expand(-1, -1, -1, _SIDE), x[..., None, :].expand(-1, -1, _SIDE, -1)
    grid = torch.stack((columns, rows), -1).flatten(0, 1)
    inside = F.grid_sample(drawn.flatten(0, 1)[:, None].float(), grid, padding_mode="border", align_corners=False)
    return inside[:, 0].sigmoid().unflatten(0, drawn.shape[:2])


def boxes_in_shares(drawn: Tensor, inside: Tensor) -> Tensor:
    """Boxes [B, n, 4] around masks in shares of the canvas, in operations that can be traced.

    Args:
        drawn: Logits [B, n, H / 4, W / 4].
        inside: Bool [B, H, W], True where the image is.

    Returns:
        Left, top, right, bottom; 0 in all places where a mask has no pixel.
    """
    there = (F.interpolate(drawn, scale_factor=float(CELL), mode="bilinear") > 0) & inside[:, None]
    sides = []
    for line in (there.any(2), there.any(3)):  # columns [B, n, W], rows [B, n, H]
        places, length = torch.arange(line.shape[-1], device=drawn.device), line.shape[-1]
        last = torch.where(line, places + 1, 0).amax(-1)
        first = torch.minimum(torch.where(line, places, length).amin(-1), last)
        sides += [first / length, last / length]
    left, right, top, bottom = sides
    return torch.stack((left, top, right, bottom), -1)
