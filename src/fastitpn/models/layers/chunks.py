"""What has no attention, a few patches at a time: faster on a CPU in inference, where they stay in its cache."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx

CHUNK_PATCHES = 256
"""Patches of a chunk."""


def chunks_pay(x: Tensor) -> bool:
    """Whether to work in chunks: eager inference on a CPU, with more than one chunk of patches in x [B, N, ...]."""
    if isinstance(x, fx.Proxy) or torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    return x.device.type == "cpu" and not torch.is_grad_enabled() and x.shape[0] * x.shape[1] > CHUNK_PATCHES


def in_chunks(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor | None]) -> list[Tensor]:
    """A function of several tensors that treats each patch by itself.

    Args:
        function: [patches, ...] tensors to a list of such.
        inputs: [B, N, ...] each, the first of them a tensor; a None is passed on.

    Returns:
        What the function gives for all patches, [B, N, ...] each.
    """
    first = inputs[0]
    assert first is not None
    pieces = [itertools.repeat(None) if x is None else x.flatten(0, 1).split(CHUNK_PATCHES) for x in inputs]
    chunks = [function(*piece) for piece in zip(*pieces, strict=False)]
    return [torch.cat(parts).unflatten(0, first.shape[:2]) for parts in zip(*chunks, strict=True)]
