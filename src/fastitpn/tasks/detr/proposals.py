"""The first guess of a two-stage detector: each cell proposes a box, and the best cells become queries."""

import torch
from torch import Tensor

from fastitpn.tasks.detr.levels import Levels

_FIRST_SIDE = 0.05
"""Side of the proposals on the first level, as a share of the image; then it doubles."""
_INSIDE = (0.01, 0.99)


def cell_proposals(levels: Levels) -> tuple[Tensor, Tensor]:
    """A square around the centre of each cell.

    Returns:
        Logits of boxes [B, N, 4] (centre, width, height), infinite where they are removed; and where that is, bool
        [B, N]: in the padding, and where a number is not within 0.01 and 0.99.
    """
    proposals = []
    for number, (centres, counts) in enumerate(zip(levels.cell_centres, levels.counts.unbind(1), strict=True)):
        shares = centres / counts[:, None]  # [B, h * w, 2]
        proposals.append(torch.cat((shares, torch.full_like(shares, _FIRST_SIDE * 2**number)), -1))
    boxes = torch.cat(proposals, 1)
    removed = levels.padded | ~((boxes > _INSIDE[0]) & (boxes < _INSIDE[1])).all(-1)
    return (boxes / (1 - boxes)).log().masked_fill(removed[..., None], torch.inf), removed


def best_cells(logits: Tensor, count: int) -> Tensor:
    """Places int64 [B, Q] of the cells with the highest score of any class, the best first.

    Args:
        logits: [B, N, classes]; those of removed cells stay in the ranking, as published.
        count: Queries at most; there are fewer where there are fewer cells.
    """
    scores = logits.amax(-1)
    return scores.topk(min(count, scores.shape[1]), 1).indices


def gather(x: Tensor, places: Tensor) -> Tensor:
    """[B, N, C] at places [B, Q]: [B, Q, C]."""
    return x.gather(1, places[..., None].expand(-1, -1, x.shape[-1]))
