"""Non-finite losses and gradients: such a step is skipped, and too many in a row end the run."""

import math
from collections.abc import Mapping

from fastitpn.errors import TrainingError

LIMIT = 10
"""Skipped steps in a row that end the run."""


def non_finite(figures: Mapping[str, float]) -> str | None:
    """What is wrong with a step, such as "loss is nan"; None if nothing.

    Args:
        figures: Losses and gradient norm of the step. Only "loss" and "gradient_norm" count: the rest is merely logged.
    """
    bad = [f"{name} is {figures[name]}" for name in ("loss", "gradient_norm") if not math.isfinite(figures[name])]
    return ", ".join(bad) or None


def too_many(step: int, reason: str) -> TrainingError:
    """The error that ends the run at `step` (the number of steps done)."""
    return TrainingError(
        f"training diverged: {LIMIT} steps in a row had no finite loss or gradient\n"
        f"  where:    steps {step - LIMIT + 1} to {step}; in the last one {reason}\n"
        "  expected: finite losses; none of these steps changed the weights\n"
        "  fix:      start again with a lower lr= or precision=32-true, in another out="
    )
