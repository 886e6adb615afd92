"""A criterion of token migration: what has the smallest values leaves."""

from fastitpn.models.acceleration.criteria.base import Choice, Criterion, Tokens


class Small(Criterion):
    """The norm of a token."""

    def choose(self, tokens: Tokens) -> Choice:
        return Choice(-tokens.values.float().norm(dim=-1))


CRITERION = Small()
