"""The steps of token migration: which tokens leave, and how they are put back (`migration` says what for)."""

import contextlib
import math
from typing import NamedTuple

import torch
from torch import Tensor

from fastitpn.models.acceleration.gathering import Windows
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.windows import mean_token


class Step(NamedTuple):
    """What one step took out, and how to put it back. K tokens of n stayed in each of W windows, L = n - K left."""

    order: Tensor
    """[B, W, n]: places of the tokens that stayed, rising, then of those that left, rising."""
    stayed: Tensor
    """[B, W, K, D]: values of the tokens that stayed, at the step."""
    left: Tensor
    """[B, W, L, D]: values of those that left."""
    sizes: Tensor | None
    """[B, W, K]: how many patches each of those that stayed stands for, 0 for padding; None: 1 each."""
    match: Tensor | None
    """[B, W, L]: for each token that left, which of the K it was matched with; None if the metric matches none."""


def num_stay(n: int, keep_ratio: float) -> int:
    """How many of n tokens stay, at least 1."""
    return max(1, math.ceil(keep_ratio * n - 1e-6))  # 0.7 * 10 is a little more than 7


def take(x: Tensor, index: Tensor) -> Tensor:
    """Tokens at the given places: of [B, W, n, D], at [B, W, k], [B, W, k, D]."""
    B, W, n, D = x.shape
    first = torch.arange(B * W, device=x.device).view(B, W, 1) * n
    rows = x.reshape(B * W * n, D).index_select(0, (index + first).flatten())  # 10 times as fast as `gather` on a CPU
    return rows.view(B, W, index.shape[2], D)


def leave(
    x: Tensor, sizes: Tensor | None, migration: Migration, keep_ratio: float, windows: Windows, *, complete: bool
) -> Step:
    """One step: choose the tokens that leave, the same number in every window. Padding leaves first.

    The choice has no gradient; the values have.

    Args:
        x: [B, W, n, D], the tokens of W windows.
        sizes: [B, W, n], how many patches each stands for, 0 for padding; None: 1 each.
        migration: By which metric to choose.
        keep_ratio: Share of the tokens that stays, in (0, 1].
        windows: How the map is cut into windows.
        complete: Whether these are all tokens of the windows: no step came before.

    Returns:
        The step; its `stayed` and `sizes` go on.
    """
    stay = num_stay(x.shape[2], keep_ratio)
    padding = None if sizes is None else sizes == 0
    matched_with = destinations = None
    if migration.metric == "bipartite":
        width = windows.window_width if complete else None
        destinations = spread_destinations(x.shape[2], stay, keep_ratio, width, x.device)
        scores, matched_with = match_scores(x.detach(), padding, destinations)
    elif migration.metric == "mean":
        scores = mean_scores(x.detach(), sizes)
    else:
        scores = torch.rand(x.shape[:3], device=x.device)
    if padding is not None:
        scores = scores.masked_fill(padding, math.inf)
    ranked = scores.argsort(dim=-1, stable=True)
    stays, leaves = ranked[..., :stay].sort(-1).values, ranked[..., stay:].sort(-1).values
    order = torch.cat((stays, leaves), dim=-1)
    match = None
    if matched_with is not None and destinations is not None:
        slots = order.argsort(-1)[..., destinations]  # of the destinations, among those that stay
        match = slots.gather(-1, matched_with.gather(-1, leaves))
    if match is not None and migration.weighted:
        sizes = torch.ones(x.shape[:3], device=x.device) if sizes is None else sizes
        sizes = sizes.gather(-1, stays).scatter_add(-1, match, sizes.gather(-1, leaves))
    elif sizes is not None:
        sizes = None if windows.fewest_patches >= stay else sizes.gather(-1, stays)
    return Step(order, take(x, stays), take(x, leaves), sizes, match)


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
    x, exact = _in_float32(x)
    with exact:
        targets = torch.nn.functional.normalize(x[:, :, destinations], dim=-1)
        cosines = x @ targets.transpose(-1, -2)  # [B, W, n, b], but for the length of each x
        if padding is not None:
            cosines = cosines.masked_fill(padding[:, :, None, destinations], -math.inf)
        best, matched_with = cosines.max(-1)
        scores = best / x.norm(dim=-1).clamp(min=1e-12)
    return scores.index_fill(-1, destinations, -math.inf), matched_with


def mean_scores(x: Tensor, sizes: Tensor | None) -> Tensor:
    """Cosine of every token to the mean token of its window, [B, W, n, D] to [B, W, n]."""
    x, exact = _in_float32(x)
    with exact:
        return torch.nn.functional.cosine_similarity(x, mean_token(x, sizes), dim=-1)


def put_back(step: Step, stayed: Tensor, replenish: str) -> Tensor:
    """Undo a step: every token at its own place.

    `hold`: a token that left comes back as it was. `residual`: plus what its match has gained since (the mean gain of
    its window's tokens, where the metric has no matches). Steps are undone in reverse, so a match that has left at a
    later step is itself back, with its own gain, when it is asked. `mean`: its place gets the mean of the tokens of its
    window that stayed.

    Args:
        step: The step that `leave` gave.
        stayed: [B, W, K, D], what has become of the tokens that stayed.
        replenish: One of `REPLENISH_FORMS`.

    Returns:
        [B, W, n, D].
    """
    left = step.left
    present = None if step.sizes is None else (step.sizes > 0).float()
    if replenish == "residual":
        gain = stayed - step.stayed
        left = left + (mean_token(gain, present) if step.match is None else take(gain, step.match))
    elif replenish == "mean":
        left = mean_token(stayed, present).expand_as(left)
    return take(torch.cat((stayed, left), dim=2), step.order.argsort(-1))


def _in_float32(x: Tensor) -> tuple[Tensor, contextlib.AbstractContextManager]:
    """Half precision cannot tell near-equal similarities apart: scores are computed in float32, under autocast too."""
    device = x.device.type
    exact = contextlib.nullcontext() if device == "meta" else torch.autocast(device, enabled=False)
    return x.to(torch.promote_types(x.dtype, torch.float32)), exact
