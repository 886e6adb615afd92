"""Hierarchical cell order: the memory layout of everything that has no attention.

Stages 1 and 2 and the pyramid never mix two 16x16 patches, so their maps are kept patch by patch:
`[B, N, K, C]` holds, for each of the N patches (row-major at 1/16), its K cells of C channels.
K is 16 at stride 4, 4 at stride 8 and 1 at stride 16. Cells are ordered 2x2 by 2x2: the four cells of stride 4
below one cell of stride 8 are neighbours in memory. Merging 2x2 cells is then a view and a Linear, and so is
splitting; no map is ever permuted inside the network, only where it enters (pixels) and leaves (feature maps).

Published code computes the same with NCHW maps, 1x1 convolutions and 2x2 convolutions of stride 2.
"""

from torch import Tensor

PATCH = 16
"""Side of a patch in pixels: the stride of stage 3."""


def patchify(images: Tensor) -> Tensor:
    """Cut images into 4x4 pixel cells in hierarchical order.

    Args:
        images: [B, C, H, W], H and W multiples of 16.

    Returns:
        [B, N, 16, C * 16] with N = H/16 * W/16; the last axis is (channel, row, column) within the 4x4 cell.
    """
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // 16, 2, 2, 4, W // 16, 2, 2, 4)
    x = x.permute(0, 2, 6, 3, 7, 4, 8, 1, 5, 9)  # [B, H/16, W/16, y8, x8, y4, x4, C, row, column]
    return x.reshape(B, (H // 16) * (W // 16), 16, C * 16)


def cells_to_map(cells: Tensor, height: int, width: int, channels_last: bool = False) -> Tensor:
    """Lay cells out as a feature map.

    Args:
        cells: [B, N, K, C] with K in (1, 4, 16) and N = height * width.
        height: Patches per column (H/16).
        width: Patches per row (W/16).
        channels_last: Return NHWC instead of NCHW.

    Returns:
        [B, C, height * k, width * k] (or [B, height * k, width * k, C]) with k = sqrt(K).
    """
    B, _, K, C = cells.shape
    if K == 1:
        x = cells.reshape(B, height, width, C)
    elif K == 4:
        x = cells.reshape(B, height, width, 2, 2, C)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(B, height * 2, width * 2, C)
    else:
        x = cells.reshape(B, height, width, 2, 2, 2, 2, C)
        x = x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(B, height * 4, width * 4, C)
    return x if channels_last else x.permute(0, 3, 1, 2)


def map_to_cells(maps: Tensor, cells_per_patch: int) -> Tensor:
    """The inverse of `cells_to_map`.

    Args:
        maps: [B, C, h, w] at the stride that belongs to `cells_per_patch` (1: 16, 4: 8, 16: 4).
        cells_per_patch: Cells of a patch, K.

    Returns:
        [B, N, K, C].
    """
    B, C, h, w = maps.shape
    if cells_per_patch == 1:
        return maps.flatten(2).transpose(1, 2).unsqueeze(2)  # [B, N, 1, C]
    if cells_per_patch == 4:
        x = maps.reshape(B, C, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1)
    else:
        x = maps.reshape(B, C, h // 4, 2, 2, w // 4, 2, 2).permute(0, 2, 5, 3, 6, 4, 7, 1)
    return x.reshape(B, -1, cells_per_patch, C)
