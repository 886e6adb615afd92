"""Which patches of an image are alike."""

import pytest
import torch
from published import randn

from fastitpn.pretraining.gram import gram, gram_loss, patch_agreement


def test_a_gram_matrix_has_the_cosines_of_all_pairs():
    features = torch.tensor([[[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]]])
    half = 0.5**0.5
    torch.testing.assert_close(gram(features), torch.tensor([[[1, 0, half], [0, 1, half], [half, half, 1]]]))


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ([[5.0, 0.0], [0.0, 1.0]], 0.0),  # lengths do not count
        ([[0.0, 1.0], [1.0, 0.0]], 0.0),  # nor does a rotation
        ([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], 0.5),  # 2 of 4 pairs are 1 apart, whatever the width
        ([[1.0, 0.0], [-1.0, 0.0]], 0.5),
    ],
    ids=str,
)
def test_the_loss_is_the_mean_squared_difference(anchor, expected):
    features = torch.eye(2)[None]
    assert float(gram_loss(features, torch.tensor([anchor]))) == pytest.approx(expected)


def test_agreement_is_a_correlation_over_pairs():
    features = randn(3, 16, 8)
    turned = torch.linalg.qr(randn(8, 8, seed=1))[0]
    assert float(patch_agreement(features, 2 * features @ turned)) == pytest.approx(1, abs=1e-5)
    assert abs(float(patch_agreement(randn(8, 64, 32), randn(8, 64, 32, seed=1)))) < 0.05
    alike = torch.ones(1, 4, 3) + 0.01 * randn(1, 4, 3)
    assert -1 <= float(patch_agreement(alike, features[:1, :4])) <= 1
