"""Tokens that others already stand for leave: each is compared with destinations, spread over the map.

One token of every `period` consecutive ones is a destination and stays. Every other token is matched with the
destination that is most like it, by the cosine of their values, and those with the best matches leave. Destinations are
half of what stays, so the other half is chosen by content: of two sets of equal size nothing would be left to choose at
`keep_ratio` 0.5, and it could not be less.
"""

import math

import torch
from torch import Tensor

from fastitpn.models.acceleration.criteria.base import Choice, Criterion, Tokens, in_float32, padding_of_sizes


class Bipartite(Criterion):
    """The best match among destinations."""

    def choose(self, tokens: Tokens) -> Choice:
        """By the similarity with the best destination."""
        count, device = tokens.values.shape[2], tokens.values.device
        destinations = spread_destinations(count, tokens.stay, tokens.keep_ratio, tokens.row, device)
        scores, matched_with = match_scores(tokens.values, padding_of_sizes(tokens.sizes), destinations)
        return Choice(scores, destinations, matched_with)


def spread_destinations(
    n: int, stay: int, keep_ratio: float, width: int | None, device: torch.device | None = None
) -> Tensor:
    """Places of the destinations: one in every `period` consecutive tokens, about half of what stays.

    In a map whose rows are a multiple of the period they would stand in columns. There each row is shifted against the
    last by the golden ratio of a period, so that they lie spread over the plane (period 2: a checkerboard).

    Args:
        n: Number of tokens.
        stay: How many of them stay; there are never more destinations.
        keep_ratio: What that was reckoned from.
        width: Tokens per row of a complete map, else None.
        device: Device of the result.

    Returns:
        Rising places, the first of them 0.
    """
    period = max(2, round(2 / keep_ratio))
    place = torch.arange(0, n, period, device=device)
    if width is not None and width % period == 0:
        place = place + (place // width * round(0.382 * period)) % period
    return place[:stay]


def match_scores(x: Tensor, padding: Tensor | None, destinations: Tensor) -> tuple[Tensor, Tensor]:
    """How well every token is represented by its best destination.

    Values are compared as they are: less the image's mean value, or normalised, they choose no better.

    Args:
        x: [B, W, n, D], the tokens of W windows.
        padding: bool [B, W, n] or None.
        destinations: [b], places of the destinations.

    Returns:
        Scores [B, W, n] (of destinations -inf: they stay), and which of the b destinations is the best, [B, W, n].
    """
    x, exact = in_float32(x)
    with exact:
        targets = torch.nn.functional.normalize(x[:, :, destinations], dim=-1)
        cosines = x @ targets.transpose(-1, -2)  # [B, W, n, b], but for the length of each x
        if padding is not None:
            cosines = cosines.masked_fill(padding[:, :, None, destinations], -math.inf)
        best, matched_with = cosines.max(-1)
        scores = best / x.norm(dim=-1).clamp(min=1e-12)
    return scores.index_fill(-1, destinations, -math.inf), matched_with


CRITERION = Bipartite()
