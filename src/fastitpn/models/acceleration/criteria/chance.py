"""The control: tokens leave at random, by PyTorch's global generator."""

import torch

from fastitpn.models.acceleration.criteria.base import Choice, Criterion, Tokens


class Chance(Criterion):
    """Chance."""

    def choose(self, tokens: Tokens) -> Choice:
        """At random."""
        return Choice(torch.rand(tokens.values.shape[:3], device=tokens.values.device))


CRITERION = Chance()
