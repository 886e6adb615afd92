"""The steps of token migration: which tokens leave, and how they are put back (`migration` says what for)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from fastitpn.models.acceleration.criteria.base import Tokens, padding_of_sizes
from fastitpn.models.acceleration.criteria.registry import CRITERIA
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
    x: Tensor,
    sizes: Tensor | None,
    migration: Migration,
    keep_ratio: float,
    windows: Windows,
    *,
    complete: bool,
    attention: Tensor | None = None,
    scores: Tensor | None = None,
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
        attention: [B, W, n], what each got in the block before, for criteria that need it.
        scores: [B, W, n], what the model's scorer says, for criteria that need it.

    Returns:
        The step; its `stayed` and `sizes` go on.
    """
    stay = num_stay(x.shape[2], keep_ratio)
    row = windows.window_width if complete else None
    tokens = Tokens(x.detach(), sizes, stay, keep_ratio, row, attention, scores)
    ranks, destinations, matched_with = CRITERIA[migration.metric].choose(tokens)
    if (padding := padding_of_sizes(tokens.sizes)) is not None:
        ranks = ranks.masked_fill(padding, math.inf)
    ranked = ranks.argsort(dim=-1, stable=True)
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
