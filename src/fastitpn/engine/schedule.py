"""The learning rate of each step."""

import math


def learning_rate(step: int, *, steps: int, lr: float, min_lr: float, warmup_steps: int) -> float:
    """Linear warm-up from 0, then a half cosine: as published, step by step.

    `lr * step / (warmup_steps - 1)` while `step < warmup_steps` (so the last of them is at `lr`), then
    `min_lr + (lr - min_lr) * (1 + cos(pi * (step - warmup_steps) / (steps - warmup_steps))) / 2`.

    Args:
        step: Optimiser step, from 0.
        steps: Optimiser steps of the whole run.
        lr: Peak.
        min_lr: What the cosine would reach at `step == steps`.
        warmup_steps: 0 for none.
    """
    if step < warmup_steps:
        return lr * step / max(1, warmup_steps - 1)
    progress = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * progress))
