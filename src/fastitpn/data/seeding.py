"""Randomness that depends on (seed, epoch, index) alone: the same samples for any number of workers."""

import hashlib
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import get_worker_info


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """64-bit seed of one sample in one epoch; neighbouring keys give unrelated seeds."""
    key = struct.pack("<qqq", seed, epoch, index)
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the global generators of python, numpy and torch (CPU), and restores the caller's states at the end.

    In a DataLoader's worker nothing is restored: nobody else draws there, and it costs a tenth of a small sample.

    Args:
        seed: 0 <= seed < 2**64.
    """
    is_worker = get_worker_info() is not None
    states = None if is_worker else (random.getstate(), np.random.get_state(), torch.get_rng_state())
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would seed the accelerators too.
    try:
        yield
    finally:
        if states is not None:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])
