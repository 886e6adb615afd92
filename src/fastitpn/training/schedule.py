"""The learning rate of each step."""

import math

_POLY_WARMUP_START = 1e-6
_DROPS = {"step": (3 / 4, 11 / 12), "late_step": (11 / 12,)}


def learning_rate(
    step: int, *, steps: int, lr: float, min_lr: float, warmup_steps: int, schedule: str = "cosine"
) -> float:
    """Linear warm-up, then a half cosine, a straight line or drops: each as published, step by step.

    cosine: `lr * step / (warmup_steps - 1)` while `step < warmup_steps` (so the last of them is at `lr`), then
    `min_lr + (lr - min_lr) * (1 + cos(pi * (step - warmup_steps) / (steps - warmup_steps))) / 2`.

    poly (of power 1, published for segmentation): `min_lr + (lr - min_lr) * (1 - step / steps)`, and while
    `step < warmup_steps` that times `1 - (1 - step / warmup_steps) * (1 - 1e-6)`.

    step (published for detection, of 12 or 36 epochs): `lr`, a tenth of it from 3/4 of the steps on, and a hundredth
    from 11/12 on; while `step < warmup_steps` that times `(step + 1) / warmup_steps`.

    late_step (published for DINO, of 12 epochs): `lr`, and a tenth of it from 11/12 on; warm-up as for step.

    Args:
        step: Optimiser step, from 0.
        steps: Optimiser steps of the whole run.
        lr: Peak learning rate.
        min_lr: What would be reached at `step == steps`.
        warmup_steps: Steps of linear warm-up; 0 for none.
        schedule: "cosine", "poly", "step" or "late_step".
    """
    if schedule == "poly":
        rate = min_lr + (lr - min_lr) * (1 - min(1.0, step / max(1, steps)))
        if step < warmup_steps:
            rate *= 1 - (1 - step / warmup_steps) * (1 - _POLY_WARMUP_START)
        return rate
    if schedule in _DROPS:
        rate = max(min_lr, lr * 0.1 ** sum(step >= share * steps for share in _DROPS[schedule]))
        return rate * min(1.0, (step + 1) / max(1, warmup_steps))
    if step < warmup_steps:
        return lr * step / max(1, warmup_steps - 1)
    progress = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * progress))
