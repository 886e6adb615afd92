"""What a criterion is: it says of each token how dispensable it is. A new one is a file with one, and a line."""

import contextlib
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor


class Tokens(NamedTuple):
    """What a criterion sees of a step: n tokens in each of W windows of B images; no gradient."""

    values: Tensor
    """[B, W, n, D]."""
    sizes: Tensor | None
    """[B, W, n]: how many patches each stands for, 0 for padding, which leaves first in any case; None: 1 each."""
    stay: int
    """How many of the n stay."""
    keep_ratio: float
    """What that was reckoned from."""
    row: int | None
    """Tokens per row of a window, where all of its tokens are there in raster order; else None."""
    attention: Tensor | None = None
    """[B, W, n]: share of the attention of the block before the step that each token got, for criteria that need it."""
    scores: Tensor | None = None
    """[B, W, n]: what the model's scorer of this step says, for criteria that need it."""

    @property
    def padding(self) -> Tensor | None:
        """Where there is no patch, bool [B, W, n]; None without any."""
        return padding_of_sizes(self.sizes)


def padding_of_sizes(sizes: Tensor | None) -> Tensor | None:
    """The property `Tokens.padding`, which PyTorch 2.10 cannot compile."""
    return None if sizes is None else sizes == 0


class Choice(NamedTuple):
    """What a criterion says."""

    scores: Tensor
    """[B, W, n]: those with the highest leave; with -inf a token stays."""
    destinations: Tensor | None = None
    """[b]: places of tokens that stay and stand for others; None for a criterion that matches none."""
    matched_with: Tensor | None = None
    """[B, W, n]: for each token, which of the b destinations stands for it."""


class Criterion:
    """By what tokens leave. It has no state.

    Attributes:
        needs_attention: Whether it looks at `Tokens.attention`, which costs a second attention in the block.
        needs_scorer: Whether it looks at `Tokens.scores`, for which the model must have learnt to score tokens.
    """

    needs_attention: ClassVar[bool] = False
    needs_scorer: ClassVar[bool] = False

    def choose(self, tokens: Tokens) -> Choice:
        """How dispensable each token is."""
        raise NotImplementedError


def in_float32(x: Tensor) -> tuple[Tensor, contextlib.AbstractContextManager]:
    """Half precision cannot tell near-equal similarities apart: scores are computed in float32, under autocast too."""
    device = x.device.type
    exact = contextlib.nullcontext() if device == "meta" else torch.autocast(device, enabled=False)
    return x.to(torch.promote_types(x.dtype, torch.float32)), exact
