"""Statistics of a batch against their formulas."""

import pytest
import torch
from published import randn

from fastitpn.pretraining.teachers.statistics import (
    effective_rank,
    in_one_process,
    mean_over_processes,
    num_processes,
    standardise,
    whiten,
)


def test_standardised_features_have_mean_0_and_spread_1():
    features = randn(4, 9, 6) * torch.arange(1, 7) + 3
    flat = features.flatten(0, 1)
    expected = (features - flat.mean(0)) / (flat.std(0) + 1e-6)
    torch.testing.assert_close(standardise(features), expected)


def test_whitened_features_vary_alike_in_every_direction_and_stay_close():
    features = randn(8, 64, 6) @ randn(6, 6, seed=1) + 5
    white = whiten(features).flatten(0, 1)
    covariance = torch.cov(white.T, correction=0)
    variances = torch.linalg.eigvalsh(covariance)
    assert torch.linalg.cond(torch.cov(features.flatten(0, 1).T)) > 20
    assert variances.min() > 0.5  # the floor takes a little from the smallest
    assert variances.max() <= 1.001
    already = whiten(white.view(8, 64, 6)).flatten(0, 1)
    assert torch.nn.functional.cosine_similarity(already, white).min() > 0.99  # ZCA turns nothing


def test_whitening_leaves_noise_small_and_lives_with_few_vectors():
    features = randn(2, 4, 32)  # fewer vectors than features
    assert whiten(features).isfinite().all()
    flat = torch.cat((randn(64, 3), 1e-6 * randn(64, 1, seed=1)), dim=1)
    assert whiten(flat)[:, 3].abs().max() < 1e-3
    assert torch.equal(whiten(features[:1, :1]), features[:1, :1])


def test_whitening_keeps_full_precision_under_autocast():
    features = randn(8, 64, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(whiten(features), whiten(features))
        within = whiten(features)
    assert torch.equal(within, whiten(features))


@pytest.mark.parametrize("directions", [1, 3, 8])
def test_the_effective_rank_counts_directions(directions):
    basis = torch.linalg.qr(randn(16, 16)).Q[:directions]
    vectors = randn(4000, directions, seed=1) @ basis + 7
    assert float(effective_rank(vectors)) == pytest.approx(directions, rel=0.05)
    assert float(effective_rank(100 * vectors)) == pytest.approx(directions, rel=0.05)


def test_the_rank_of_nothing_is_a_number():
    assert effective_rank(torch.ones(10, 4)).isfinite()


def test_one_process_is_alone():
    value = randn(3).requires_grad_()
    assert num_processes() == 1
    assert torch.equal(mean_over_processes(value), value)
    assert not mean_over_processes(value).requires_grad
    with in_one_process():
        assert num_processes() == 1
