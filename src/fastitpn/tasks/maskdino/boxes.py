"""Boxes around masks."""

import torch
from torch import Tensor

_FAR = 1e8


def boxes_around(masks: Tensor, form: str = "bitmask") -> Tensor:
    """The tight box of each mask, as corners in pixels.

    Args:
        masks: bool [..., H, W].
        form: "bitmask": the far edges are one past the last pixel, and an empty mask has zeros. "mask2box": they are
            the last pixel, and an empty mask begins at 1e8 and ends at 0.

    Returns:
        float32 [..., 4].
    """
    sides = []
    for axis in (-2, -1):  # pixels of any row: x; of any column: y
        taken = masks.any(axis)
        places = torch.arange(taken.shape[-1], device=masks.device, dtype=torch.float32)
        first = places.where(taken, torch.tensor(_FAR, device=masks.device)).amin(-1)
        last = (places * taken).amax(-1)
        if form == "bitmask":
            empty = ~taken.any(-1)
            first, last = first.masked_fill(empty, 0), (last + 1).masked_fill(empty, 0)
        sides.append((first, last))
    (left, right), (top, bottom) = sides
    return torch.stack((left, top, right, bottom), -1)
