"""The learning rate of each step."""

import math
from collections.abc import Sequence

_POLY_WARMUP_START = 1e-6
MILESTONES = (3 / 4, 11 / 12)
"""When `step` drops, in shares of the run: after epochs 9 and 11 of 12, and 27 and 33 of 36, as published."""


def learning_rate(
    step: int,
    *,
    steps: int,
    lr: float,
    min_lr: float,
    warmup_steps: int,
    schedule: str = "cosine",
    milestones: Sequence[float] = MILESTONES,
) -> float:
    """Linear warm-up, then a half cosine, a straight line or drops, each as published, or nothing that falls.

    cosine: `lr * step / (warmup_steps - 1)` while `step < warmup_steps` (so the last of them is at `lr`), then
    `min_lr + (lr - min_lr) * (1 + cos(pi * (step - warmup_steps) / (steps - warmup_steps))) / 2`.

    poly (of power 1, published for segmentation): `min_lr + (lr - min_lr) * (1 - step / steps)`, and while
    `step < warmup_steps` that times `1 - (1 - step / warmup_steps) * (1 - 1e-6)`.

    step (published for detection): `lr`, and a tenth of it again from each milestone on; while `step < warmup_steps`
    that times `(step + 1) / warmup_steps`.

    constant: `lr` after the warm-up of cosine. No other schedule lets a run become longer.

    Args:
        step: Optimiser step, from 0.
        steps: Optimiser steps of the whole run.
        lr: Peak learning rate.
        min_lr: What would be reached at `step == steps`.
        warmup_steps: Steps of linear warm-up; 0 for none.
        schedule: "cosine", "poly", "step" or "constant".
        milestones: Shares of `steps`, in (0, 1), at which `step` drops.
    """
    if schedule == "poly":
        rate = min_lr + (lr - min_lr) * (1 - min(1.0, step / max(1, steps)))
        if step < warmup_steps:
            rate *= 1 - (1 - step / warmup_steps) * (1 - _POLY_WARMUP_START)
        return rate
    if schedule == "step":
        rate = max(min_lr, lr * 0.1 ** sum(step >= share * steps for share in milestones))
        return rate * min(1.0, (step + 1) / max(1, warmup_steps))
    if step < warmup_steps:
        return lr * step / max(1, warmup_steps - 1)
    if schedule == "constant":
        return lr
    progress = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * progress))
