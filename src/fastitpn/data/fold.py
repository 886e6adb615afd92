"""One of several parts of labelled images, each of which is validated on once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fold:
    """A fold of a cross-validation.

    Attributes:
        number: From 1 to `of`.
        of: Number of folds.
    """

    number: int
    of: int


HeldOut = float | Fold
"""What is held out to validate on: a share of the images, in (0, 1), or a fold."""
