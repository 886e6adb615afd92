"""The tokens that are most like the mean token of their window leave. Cheaper: no comparison between tokens."""

import torch
from torch import Tensor

from fastitpn.models.acceleration.criteria.base import Choice, Criterion, Tokens, in_float32
from fastitpn.models.acceleration.windows import mean_token


class Mean(Criterion):
    """Similarity with the mean token."""

    def choose(self, tokens: Tokens) -> Choice:
        """By the similarity with the mean token."""
        return Choice(mean_scores(tokens.values, tokens.sizes))


def mean_scores(x: Tensor, sizes: Tensor | None) -> Tensor:
    """Cosine of every token to the mean token of its window, [B, W, n, D] to [B, W, n]."""
    x, exact = in_float32(x)
    with exact:
        return torch.nn.functional.cosine_similarity(x, mean_token(x, sizes), dim=-1)


CRITERION = Mean()
