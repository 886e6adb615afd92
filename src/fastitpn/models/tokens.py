"""What trackers do to tokens without any weights: shares of the object in each patch, tokens left out and put back."""

import torch
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.layers.cells import PATCH


def foreground_shares(boxes: Tensor, height: int, width: int) -> Tensor:
    """The share of each patch's pixels that lie in a box, by which SUTrack and its like mix two token types.

    A pixel with the integer coordinate p is inside if x0 <= p < x0 + w; the box is not rounded.

    Args:
        boxes: [B, 4], x and y of the upper left corner, width and height, in px.
        height: Height of the image in px, a multiple of 16.
        width: Width of the image in px, a multiple of 16.

    Returns:
        [B, N, 1] in [0, 1], N = height/16 * width/16 in raster order. The types to add are
        `torch.lerp(background, foreground, shares)`.

    Raises:
        InputError: The boxes have another shape, or a side is no multiple of 16.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes of shape {list(boxes.shape)}", expected="[B, 4]: x, y, width, height in px")
    if height % PATCH or width % PATCH or min(height, width) < PATCH:
        raise InputError(f"image of {height}x{width} px", expected="height and width multiples of 16")
    inside = [
        (pixels >= start) & (pixels < start + size)
        for start, size, side in ((boxes[:, 1:2], boxes[:, 3:], height), (boxes[:, :1], boxes[:, 2:3], width))
        for pixels in [torch.arange(side, device=boxes.device, dtype=boxes.dtype)]
    ]
    down, across = (line.unflatten(1, (-1, PATCH)).to(boxes.dtype).mean(2) for line in inside)
    return (down[:, :, None] * across[:, None]).flatten(1)[..., None]


def gather_tokens(tokens: Tensor, kept: Tensor) -> Tensor:
    """The tokens that stay; the others are left out of what follows.

    Args:
        tokens: [B, L, D].
        kept: int64 [B, K], numbers of the tokens that stay, in any order; or bool [B, L], True = stays, with the same
            count in every row.

    Returns:
        [B, K, D], in the order of `kept`.

    Raises:
        InputError: The rows of a mask keep different counts, or `kept` has another shape.
    """
    return tokens.gather(1, _numbers(kept, *tokens.shape[:2])[..., None].expand(-1, -1, tokens.shape[2]))


def scatter_tokens(tokens: Tensor, kept: Tensor, length: int) -> Tensor:
    """Tokens back at their places; the places of those that were left out are zero.

    Args:
        tokens: [B, K, D], from `gather_tokens`.
        kept: What it was given.
        length: L, tokens before any was left out.

    Returns:
        [B, L, D].

    Raises:
        InputError: The rows of a mask keep different counts, or `kept` has another shape.
    """
    numbers = _numbers(kept, len(tokens), length)
    full = tokens.new_zeros(len(tokens), length, tokens.shape[2])
    return full.scatter(1, numbers[..., None].expand(-1, -1, tokens.shape[2]), tokens)


def _numbers(kept: Tensor, batch: int, length: int) -> Tensor:
    """[B, K] numbers of the tokens, from numbers or from a mask."""
    fits = kept.ndim == 2 and len(kept) == batch
    if kept.dtype != torch.bool:
        if not fits or kept.dtype != torch.int64:
            raise InputError(f"kept={list(kept.shape)} {kept.dtype}", expected=f"[{batch}, K] int64, or a bool mask")
        return kept
    if not fits or kept.shape[1] != length:
        raise InputError(f"a mask of {list(kept.shape)}", where="kept", expected=f"[{batch}, {length}]")
    counts = kept.sum(1)
    if not (counts == counts[0]).all():
        raise InputError(
            f"a mask that keeps {int(counts.min())} to {int(counts.max())} tokens",
            where="kept",
            expected="the same count in every row",
            fix="one row at a time, or scores.topk(count).indices",
        )
    return kept.nonzero()[:, 1].view(batch, -1)
