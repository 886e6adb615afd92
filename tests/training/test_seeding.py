import random

import numpy as np
import torch

from fastitpn.training.seeding import seed_step


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def drawn(*key):
    seed_step(*key)
    return draw()


def test_a_step_draws_the_same_again():
    first = drawn(1, 2, 3)
    draw()
    assert drawn(1, 2, 3) == first


def test_seed_step_and_rank_all_count():
    draws = [drawn(*key) for key in [(1, 2, 3), (0, 2, 3), (1, 0, 3), (1, 2, 0), (2, 1, 3), (1, -1, 3)]]
    for source in zip(*draws, strict=True):
        assert len(set(source)) == len(draws)
