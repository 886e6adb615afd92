"""To which patches a chosen token attends, for pictures and for study."""

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fastitpn.models.acceleration.token_trace import patches_before
from fastitpn.models.layers.attention import AttentionBlock
from fastitpn.models.taps import AttentionInput, Features


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionTrace:
    """The attention of one token of one image. N = rows * columns of `grid`, in raster order."""

    grid: tuple[int, int]
    """Patches per column and per row (H/16, W/16)."""
    token: int
    """The token that was looked from, 0 to N - 1."""
    shares: Mapping[int, Tensor]
    """Block, 1 being the first, to float [heads, N]: the share of the attention of each head that goes to each patch.
    What is missing to 1 goes to a class token, registers or gathering tokens. Blocks that the token has left are
    absent."""
    left_after: int | None
    """The block after which the token left (migration); None: it stayed."""


def attention_trace(features: Features, blocks: Sequence[AttentionBlock], token: int) -> AttentionTrace:
    """The trace of a pass of one image.

    Args:
        features: Features of a pass of one image: all stages, and the input of the blocks to look at.
        blocks: The blocks of stage 3.
        token: In raster order: row * columns + column.
    """
    windows = features.windows
    assert windows is not None
    shares = {}
    for number, seen in features.attention.items():
        share = _shares(
            blocks[number - 1], seen, patches_before(features, number), token, (windows.height, windows.width)
        )
        if share is not None:
            shares[number] = share
    gone = (block for block in features.steps if not (patches_before(features, block + 1) == token).any())
    return AttentionTrace(grid=(windows.height, windows.width), token=token, shares=shares, left_after=next(gone, None))


def _shares(
    block: AttentionBlock, seen: AttentionInput, patch: Tensor, token: int, grid: tuple[int, int]
) -> Tensor | None:
    """[heads, N]; None if the token has left."""
    num_patches = grid[0] * grid[1]
    attention, mask = block.attn, seen.mask
    x = block.norm1(seen.tokens).flatten(0, -3)
    q, k, _ = attention.project(x)  # [groups, heads, front + n, head_dim]
    groups = q.shape[0]
    patch = patch.reshape(groups, -1)
    place = (patch == token).nonzero()
    if not len(place):
        return None
    group, column = place[0].tolist()
    front = q.shape[2] - patch.shape[1]
    logits = (q[group, :, None, front + column] @ k[group].transpose(-1, -2))[:, 0].float() * q.shape[-1] ** -0.5
    for added in (mask, attention.position_bias(q, *(seen.grid or (None, None)))):
        if added is not None:
            row = added.expand(groups, q.shape[1], q.shape[2], q.shape[2])[group, :, front + column]
            logits = logits.masked_fill(~row, -torch.inf) if row.dtype == torch.bool else logits + row
    shares = logits.softmax(-1)[:, front:]
    result = torch.zeros(len(shares), num_patches + 1, device=x.device)  # a place more, for padding
    result[:, patch[group] % (num_patches + 1)] = shares
    return result[:, :-1]
