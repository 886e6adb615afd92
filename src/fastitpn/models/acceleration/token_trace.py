"""What token migration and token gathering did to each patch of an image, for pictures and for study."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from fastitpn.models.acceleration.windows import split_map
from fastitpn.models.layers.attention import AttentionBlock
from fastitpn.models.taps import AttentionInput, Features


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenTrace:
    """The way of every patch through stage 3. N = rows * columns of `grid`, in raster order."""

    grid: tuple[int, int]
    """Patches per column and per row (H/16, W/16)."""
    steps: tuple[int, ...]
    """After how many blocks of stage 3 tokens left."""
    left: Tensor
    """int64 [B, N]: at which step a patch left, from 1 on; 0: it stayed to the end."""
    match: Tensor
    """int64 [B, N]: the patch that one which left was matched with; -1 without a match."""
    windows: tuple[int, int]
    """Windows per column and per row; (1, 1) without gathering, and where one window covers the map."""
    window: Tensor
    """int64 [N]: the window of each patch, in raster order of windows."""
    gathered: Tensor
    """float [B, windows, N]: the share of their attention that a window's gathering tokens pay to each patch, mean over
    them, over heads and over windowed blocks (nothing in the blocks after it left). [B, 0, N] without gathering."""


def token_trace(features: Features, blocks: Sequence[AttentionBlock], steps: tuple[int, ...]) -> TokenTrace:
    """The trace of a pass.

    Args:
        features: Features of a pass: all stages, and the input of every windowed block.
        blocks: The blocks of stage 3.
        steps: After how many of them tokens may leave.
    """
    windows = features.windows
    assert windows is not None
    patch = first_patch = patches_before(features, 1)
    batch, count = len(patch), windows.height * windows.width
    left = torch.zeros(batch, count + 1, dtype=torch.long, device=patch.device)  # a place more, for padding
    match = torch.full_like(left, -1)
    for after_blocks, step in features.steps.items():
        stay = step.stayed.shape[2]
        patch = patch.gather(2, step.order)
        stayed, gone = patch[..., :stay], patch[..., stay:]
        _write(left, gone, torch.full_like(gone, steps.index(after_blocks) + 1))
        if step.match is not None:
            _write(match, gone, stayed.gather(2, step.match))
        patch = stayed

    gathered = torch.zeros(batch, windows.num_windows, count + 1, device=patch.device)
    inputs = {number: seen for number, seen in features.attention.items() if seen.num_gathering > 0}
    for number, seen in inputs.items():
        places = patches_before(features, number) % (count + 1)
        gathered += torch.zeros_like(gathered).scatter(2, places, _gathering_shares(blocks[number - 1], seen))
    window = torch.zeros(count + 1, dtype=torch.long, device=patch.device)
    for number, patches in enumerate(first_patch[0]):
        window[patches] = number
    return TokenTrace(
        grid=(windows.height, windows.width),
        steps=steps,
        left=left[:, :count],
        match=match[:, :count],
        windows=(windows.rows, windows.columns),
        window=window[:count],
        gathered=(gathered / max(1, len(inputs)))[..., :count] if inputs else gathered[:, :0, :count],
    )


def patches_before(features: Features, block: int) -> Tensor:
    """Which patch each token is before a block, int64 [B, W, n], in raster order from 0; -1 for padding."""
    windows, tokens = features.windows, features.stages[-1]
    assert windows is not None
    numbers = torch.arange(1, windows.height * windows.width + 1, device=tokens.device)
    patch = (split_map(numbers[None, :, None], windows).squeeze(3) - 1).expand(len(tokens), -1, -1)
    if features.back_before is not None and block >= features.back_before:
        return patch
    for after_blocks, step in features.steps.items():
        if after_blocks < block:
            patch = patch.gather(2, step.order)[..., : step.stayed.shape[2]]
    return patch


def _gathering_shares(block: AttentionBlock, seen: AttentionInput) -> Tensor:
    """[B, W, n]: the share of its attention that a window's gathering tokens pay to each of its tokens."""
    q, k, _ = block.attn.project(block.norm1(seen.tokens).flatten(0, 1))
    logits = q[:, :, : seen.num_gathering].float() @ k.transpose(-1, -2).float() * q.shape[-1] ** -0.5
    if seen.mask is not None:
        logits = logits + seen.mask
    return logits.softmax(-1)[..., seen.num_gathering :].mean((1, 2)).unflatten(0, seen.tokens.shape[:2])


def _write(target: Tensor, patch: Tensor, value: Tensor) -> None:
    """Write values [B, W, L] at patches [B, W, L] of [B, N + 1]."""
    target.scatter_(1, patch.flatten(1) % target.shape[1], value.flatten(1))
