"""The loss of the scorers of tokens in segmentation: by hand, for two by two patches."""

import math

import pytest
import torch

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import thing_code
from fastitpn.tasks.segment.patch_loss import patch_loss


def test_each_query_learns_the_pixels_of_its_patch():
    masks = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, IGNORE], [2, 1, 0, 0], [2, 1, 0, 0]]], dtype=torch.uint8)
    logits = torch.zeros(1, 4, 3)
    logits[0, 0, 0] = logits[0, 1, 1] = logits[0, 3, 0] = 50.0  # sure, and right; the third halves its patch
    logits[0, 2, 0] = -50.0
    assert patch_loss(logits, masks).item() == pytest.approx(4 * math.log(2) / 15)
    logits[0, 0] = torch.tensor([0.0, 50.0, 0.0])  # four pixels wrong by 50
    assert patch_loss(logits, masks).item() == pytest.approx((4 * math.log(2) + 200) / 15)


def test_weights_count_pixels_and_segments_are_of_their_class():
    masks = torch.tensor([[[0, 1], [1, 1]]], dtype=torch.uint8)
    logits = torch.zeros(1, 1, 2)
    logits[..., 0] = math.log(3)  # 3/4 and 1/4
    expected = (2 * math.log(4 / 3) + 3 * math.log(4)) / 5
    assert patch_loss(logits, masks, torch.tensor([2.0, 1.0])).item() == pytest.approx(expected)
    codes = torch.tensor([[[0, thing_code(1, 0)], [thing_code(1, 1), thing_code(1, 1)]]], dtype=torch.int32)
    assert torch.equal(patch_loss(logits, codes), patch_loss(logits, masks))


def test_nothing_to_learn_costs_nothing():
    assert patch_loss(torch.randn(2, 4, 3), torch.full((2, 4, 4), IGNORE, dtype=torch.uint8)).item() == 0
