"""Masks looked at in random points, more of them where a mask is unsure (PointRend, Kirillov et al., 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor

_OVERSAMPLE = 3
_UNSURE = 0.75


def sample(masks: Tensor, points: Tensor) -> Tensor:
    """Values of masks [N, H, W] at points [N, P, 2] (x and y as shares of the map), between cells: [N, P]."""
    if len(masks) == 0:
        return masks.new_zeros(0, points.shape[1])
    return F.grid_sample(masks[:, None], 2 * points[:, :, None] - 1, align_corners=False)[:, 0, :, 0]


def unsure_points(logits: Tensor, candidates: Tensor, fresh: Tensor) -> Tensor:
    """The candidates where a mask is the least sure, and some fresh points.

    Args:
        logits: [N, h, w].
        candidates: [N, M, 2].
        fresh: [N, F, 2].

    Returns:
        [N, P, 2], as many of the candidates as there are too few fresh ones for a third as many points as candidates.
    """
    count = candidates.shape[1] // _OVERSAMPLE - fresh.shape[1]
    places = sample(logits, candidates).abs().neg().topk(count, 1).indices
    return torch.cat((candidates.gather(1, places[..., None].expand(-1, -1, 2)), fresh), 1)


class Points:
    """Draws the points that masks are compared at.

    Args:
        count: Points of each mask; published: 12544.
    """

    def __init__(self, count: int):
        self.count = count

    def to_match(self, device: torch.device) -> Tensor:
        """Points [1, P, 2] for all masks of an image."""
        return torch.rand(1, self.count, 2, device=device)

    @torch.no_grad()
    def to_learn(self, logits: Tensor) -> Tensor:
        """Points [N, P, 2] for each of the masks [N, h, w]."""
        number, unsure = len(logits), int(_UNSURE * self.count)
        candidates = torch.rand(number, _OVERSAMPLE * self.count, 2, device=logits.device)
        fresh = torch.rand(number, self.count - unsure, 2, device=logits.device)
        return unsure_points(logits, candidates, fresh)
