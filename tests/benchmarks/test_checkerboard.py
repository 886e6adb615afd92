"""The script that measures where the variance of a level lies."""

import pytest
import torch
from published import randn

from benchmarks.checkerboard import variance_shares

PLACE, PATCH, COARSE = randn(4, 8), randn(6, 50, 1, 8, seed=1), randn(6, 50, 5, seed=2)
KERNEL = torch.einsum("bnc,ckd->bnkd", COARSE, randn(5, 4, 8, seed=3))
DETAIL = randn(6, 50, 4, 8, seed=4)
PARTS = {
    "place": (PLACE - PLACE.mean(0)).expand(6, 50, 4, 8),
    "patch": PATCH.expand(6, 50, 4, 8),
    "kernel": KERNEL - KERNEL.mean(2, keepdim=True),
    "detail": DETAIL - DETAIL.mean(2, keepdim=True),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_level_that_is_made_of_one_part(part):
    shares = variance_shares(PARTS[part], COARSE)
    assert shares[part] > 98
    assert sum(shares.values()) == pytest.approx(100, abs=0.2)
