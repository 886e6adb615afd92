"""Stage 3 with token migration, token gathering, or both."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.models import checkpoint
from torch import Tensor, nn

from fastitpn.models.acceleration.criteria.attention import received_attention
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.models.acceleration.gathering import Windows
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.acceleration.steps import Step, leave, put_back
from fastitpn.models.acceleration.windows import (
    GatheringTokens,
    attention_mask,
    gathering_tokens,
    join_map,
    split_map,
    token_sizes,
)
from fastitpn.models.taps import Features


def attend_accelerated(
    blocks: nn.ModuleList,
    x: Tensor,
    height: int,
    width: int,
    acceleration: Acceleration,
    *,
    num_prefix: int = 0,
    relative_positions: bool = False,
    checkpointed: bool = False,
    features: Features | None = None,
    scorers: Sequence[Any] = (),
    learned_tokens: GatheringTokens | None = None,
) -> Tensor:
    """The attention blocks of stage 3, on fewer tokens and in windows.

    With gathering the map is put in window order once, and back once at the end; a global block sees the same tensor
    with its windows laid side by side, which moves nothing in memory.

    Args:
        blocks: The `AttentionBlock`s of stage 3.
        x: [B, P + N, D], with positions; N = height * width in raster order.
        height: Patches per column.
        width: Patches per row.
        acceleration: One that has been checked against the model.
        num_prefix: P, class tokens in front. They stay, and need a model without gathering.
        relative_positions: Whether the blocks have relative positions of patches; gathering tokens have none.
        checkpointed: Recompute blocks in the backward pass.
        features: Takes what was asked for.
        scorers: What the model learnt to score tokens with, one for each step of migration.
        learned_tokens: What it learnt of its gathering tokens.

    Returns:
        [B, P + N, D], every token at its own place.
    """
    gathering, migration = acceleration.gathering, acceleration.migration
    depth, D = len(blocks), x.shape[-1]
    keep_ratios = {} if migration is None else migration.steps(depth)
    replenish, last_blocks = ("", 0) if migration is None else (migration.replenish, migration.last_blocks)
    windows = Windows.cut(height, width, None if gathering is None else gathering.window)
    B, W = x.shape[0], windows.num_windows
    x = x.unsqueeze(1) if W == 1 else split_map(x, windows)  # [B, W, P + n, D]
    all_sizes = sizes = token_sizes(x, windows)
    all_places = places = _places(x, windows) if relative_positions else None

    steps: dict[int, Step] = {}
    gone: list[Step] = []  # that are not put back yet
    runs = [(False, 0, depth)] if gathering is None or W == 1 else gathering.runs(depth)
    for windowed, first, last in runs:
        groups, front, num_gathering = (W if windowed else 1), num_prefix, 0
        if windowed and gathering is not None and gathering.tokens_per_window > 0:
            learned = learned_tokens if gathering.tokens == "learned" else None
            born = gathering_tokens(x, sizes, gathering.tokens_per_window, learned)
            front = num_gathering = born.shape[2]
            x = torch.cat((born, x), dim=2)
        x = x.reshape(B, groups, -1, D)
        mask = attention_mask(sizes, groups, front, x.dtype)
        for number in range(first + 1, last + 1):
            block: Any = blocks[number - 1]
            if gone and number > depth - last_blocks:
                patches = x[:, :, front:].reshape(B, W, -1, D)
                for step in reversed(gone):
                    patches = put_back(step, patches, replenish)
                gone, sizes, places = [], all_sizes, all_places
                mask = attention_mask(sizes, groups, front, x.dtype)
                x = torch.cat((x[:, :, :front], patches.reshape(B, groups, -1, D)), dim=2)
            added = mask
            if places is not None:
                bias = block.attn.rel_pos_bias.of_places(places.reshape(B * groups, -1), height, width)
                bias = F.pad(bias, (front, 0, front, 0)) if front > 0 else bias
                added = bias if mask is None else bias + mask
            if features is not None:
                features.see_input(number, x, added, num_gathering)
            leaves = migration is not None and keep_ratios.get(number, 1) < 1
            received = None
            if migration is not None and leaves and CRITERIA[migration.metric].needs_attention:
                received = received_attention(block, x, added, front=front, num_prefix=num_prefix)
            if checkpointed:
                x = checkpoint(block, x, added, num_gathering)
            else:
                x = block(x, added, num_gathering)
            if features is not None and number in features.taps.blocks:
                tokens = x[:, :, num_gathering:].reshape(B, W, -1, D)
                features.see_tokens(number, _complete(tokens, gone, windows, replenish, num_prefix))
            if migration is not None and leaves:
                patches = x[:, :, front:].reshape(B, W, -1, D)
                received = None if received is None else received.reshape(B, W, -1)
                scores = None
                if CRITERIA[migration.metric].needs_scorer:
                    scores = scorers[list(keep_ratios).index(number)].score(
                        patches.detach(), None if sizes is None else sizes == 0
                    )
                step = leave(
                    patches,
                    sizes,
                    migration,
                    keep_ratios[number],
                    windows,
                    complete=not steps,
                    attention=received,
                    scores=scores,
                )
                steps[number] = step
                gone.append(step)
                sizes = step.sizes
                if places is not None:
                    places = places.gather(2, step.order[..., : step.stayed.shape[2]])
                mask = attention_mask(sizes, groups, front, x.dtype)
                x = torch.cat((x[:, :, :front], step.stayed.reshape(B, groups, -1, D)), dim=2)
        x = x[:, :, num_gathering:].reshape(B, W, -1, D)
    if features is not None:
        features.windows, features.steps = windows, steps
        features.back_before = depth - last_blocks + 1
    return _complete(x, gone, windows, replenish, num_prefix)


def _places(x: Tensor, windows: Windows) -> Tensor:
    """The place in the map of each of the tokens x [B, W, n, D], in raster order, [B, W, n]; 0 for padding."""
    places = torch.arange(windows.height * windows.width, device=x.device).view(1, -1, 1)
    return split_map(places, windows).squeeze(3).expand(x.shape[0], -1, -1)


def _complete(x: Tensor, steps: Sequence[Step], windows: Windows, replenish: str, num_prefix: int) -> Tensor:
    """All tokens at their own places: [B, W, P + n, D] in windows to [B, P + N, D]."""
    prefix, x = x[:, :, :num_prefix], x[:, :, num_prefix:]
    for step in reversed(steps):
        x = put_back(step, x, replenish)
    if windows.num_windows > 1:
        return join_map(x, windows)
    return torch.cat((prefix.squeeze(1), x.squeeze(1)), dim=1)
