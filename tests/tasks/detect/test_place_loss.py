"""The loss of the scorers of tokens in detection: by hand, for two by two places."""

import pytest
import torch
import torch.nn.functional as F

from fastitpn.tasks.detect.place_loss import place_loss


def test_each_query_learns_which_classes_reach_into_its_place():
    images = [torch.zeros(3, 32, 64), torch.zeros(3, 16, 32)]  # padded to 32 x 64: places of 16 x 32 px
    targets = [
        {"boxes": torch.tensor([[0.0, 0.0, 33.0, 16.0], [40.0, 20.0, 50.0, 30.0]]), "labels": torch.tensor([1, 0])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)},
    ]
    wanted = torch.zeros(2, 4, 2)
    wanted[0, 0, 1] = wanted[0, 1, 1] = 1  # the first box ends a pixel into the second place, and at the second row
    wanted[0, 3, 0] = 1
    predicted = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0))
    expected = F.binary_cross_entropy_with_logits(predicted, wanted)
    assert place_loss(predicted, images, targets).item() == pytest.approx(expected.item())
