"""The model's randomness: a function of (seed, step, rank), so that no generator state needs to be saved."""

import random

import numpy as np
import torch


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seeds python, numpy and torch (all devices) for what the model draws in one step: drop path, mixup, masks.

    Args:
        seed: Seed of the run, not negative.
        step: Optimiser step, from 0; -1 is the time before the first one, when a model gets its start values.
        rank: Number of this process in the run, from 0.
    """
    words = np.random.SeedSequence((seed, step + 1, rank)).generate_state(2, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(int(words[0]) % 2**32)
    torch.manual_seed(int(words[1]))
