"""The tokens that the task needs least leave (Token Cropr, Bergner et al., 2025).

A scorer has queries that attend to the tokens of a step. While the model is trained, what each query gathers goes
through a small head that learns the task, with the task's own loss; no gradient of it reaches the trunk. A token's
score is the sum of its products with all queries, and those with the lowest scores leave. In use the head is not run,
and the queries count as one: their sum.

As in the paper there is one head of attention, without projections of queries, keys and values.
"""

from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.models.acceleration.criteria.base import Choice, Criterion, Tokens, in_float32
from fastitpn.models.layers.norm import Norm


class Learned(Criterion):
    """What a trained scorer says."""

    needs_scorer = True

    def choose(self, tokens: Tokens) -> Choice:
        """By the score of a token: those with the lowest leave."""
        assert tokens.scores is not None
        return Choice(-tokens.scores)


class Scorer(nn.Module):
    """Queries that look for what the task needs, and the head that they learn it by.

    Args:
        dim: Channels of a token, D.
        queries: How many there are, M: one for an image's class, or one for each place of a map.
        outputs: What each of them predicts, such as a logit for each class.
    """

    def __init__(self, dim: int, queries: int, outputs: int, **dd: Any):
        super().__init__()
        self.norm = Norm(dim, **dd)
        self.queries = nn.Parameter(torch.empty(queries, dim, **dd))
        self.mlp_norm = Norm(dim, **dd)
        self.mlp = nn.Sequential(nn.Linear(dim, dim, **dd), nn.GELU(), nn.Linear(dim, dim, **dd))
        self.head_norm = Norm(dim, **dd)
        self.head = nn.Linear(dim, outputs, **dd)
        self._seen: tuple[Tensor, Tensor | None] | None = None

    @property
    def has_seen(self) -> bool:
        """Whether there are tokens for `predict`."""
        return self._seen is not None

    def init_queries(self) -> None:
        """Start values of the queries: normal, of std 0.02."""
        nn.init.trunc_normal_(self.queries, std=0.02)

    def score(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """How much the task needs each token; while training, what it saw is kept for `predict`.

        Args:
            x: [B, W, n, D], without gradient.
            padding: bool [B, W, n], where there is no patch; None without any.

        Returns:
            [B, W, n].
        """
        self._seen = (x, padding) if self.training else None
        keys, exact = in_float32(self.norm(x).detach())
        with exact:
            # A matrix of one column: OpenVINO 2026 cannot compile the product with a vector that is then negated.
            return (keys @ self.queries.detach().sum(0).to(keys.dtype)[:, None]).squeeze(-1)

    def predict(self) -> Tensor:
        """What the queries say of the images whose tokens were scored last, [B, M, outputs]; once after each score."""
        assert self._seen is not None
        x, padding = self._seen
        self._seen = None
        tokens = self.norm(x.flatten(1, 2))  # [B, N, D]
        logits = self.queries @ tokens.transpose(1, 2) * tokens.shape[-1] ** -0.5
        if padding is not None:
            logits = logits.masked_fill(padding.flatten(1).unsqueeze(1), -torch.inf)
        gathered = logits.softmax(-1) @ tokens  # [B, M, D]
        gathered = gathered + self.mlp(self.mlp_norm(gathered))
        predicted: Tensor = self.head(self.head_norm(gathered))
        return predicted


CRITERION = Learned()
