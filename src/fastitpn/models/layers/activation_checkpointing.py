"""Activations that are computed again in the backward pass, a few images at a time.

What has no attention takes most of the memory, since its maps are the finest. It mixes nothing across images, so it is
worked through in parts, of which only one has its activations at any time.
"""

from collections.abc import Callable, Sequence

import torch
from timm.models import checkpoint
from torch import Tensor

PART_PATCHES = 1024
"""Patches of a part: enough to keep a processor busy."""


def in_parts(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Tensor:
    """A function of several tensors, without keeping what it needs in between.

    Args:
        function: Treats each image by itself and draws no random numbers; [b, N, ...] tensors to [b, ...].
        inputs: [B, N, ...] each.

    Returns:
        What the function gives for all B images.
    """
    return lists_in_parts(lambda *part: [function(*part)], inputs)[0]


def lists_in_parts(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> list[Tensor]:
    """`in_parts` for a function that gives several tensors."""
    images = max(1, PART_PATCHES // inputs[0].shape[1])
    pieces = zip(*(tensor.split(images) for tensor in inputs), strict=True)
    parts = [checkpoint(function, *piece) for piece in pieces]
    return [torch.cat(part) for part in zip(*parts, strict=True)]
