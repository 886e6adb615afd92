"""Statistics that put the targets of several teachers on one footing."""

import pytest
import torch

from fastitpn.pretraining.teachers.balance import Balance, levelling
from fastitpn.pretraining.teachers.statistics import WHITENING_FLOOR


@pytest.fixture
def features() -> torch.Tensor:
    """Correlated, with spreads from 0.1 to 10 and a mean."""
    torch.manual_seed(0)
    mixing = torch.randn(12, 12) * torch.logspace(-1, 1, 12)
    return torch.randn(4000, 12) @ mixing + torch.arange(12)


def balance_of(features: torch.Tensor, kind: str) -> Balance:
    double = features.double()
    balance = Balance(features.shape[1], kind)
    balance.settle(len(double), double.sum(0), double.T @ double)
    return balance


@pytest.mark.parametrize("kind", ["scale", "hadamard", "whiten"])
def test_the_mean_is_nothing_and_the_mean_variance_one(features, kind):
    result = balance_of(features, kind)(features)
    torch.testing.assert_close(result.mean(0), torch.zeros(12), rtol=0, atol=1e-4)
    if kind != "whiten":  # which leaves directions that hardly vary small
        assert result.var(0, correction=0).mean() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", ["scale", "hadamard"])
def test_the_geometry_stays(features, kind):
    result = balance_of(features, kind)(features)
    scale = features.var(0, correction=0).mean().rsqrt()
    torch.testing.assert_close(torch.pdist(result[:50]), torch.pdist(features[:50]) * scale, rtol=1e-3, atol=0)


def test_after_the_rotation_all_features_vary_alike(features):
    variances = balance_of(features, "hadamard")(features).var(0, correction=0)
    torch.testing.assert_close(variances, torch.ones(12), rtol=1e-4, atol=1e-4)


def test_whitening_makes_directions_alike_but_those_that_hardly_vary(features):
    before = torch.linalg.eigvalsh(features.double().T.cov(correction=0))
    result = balance_of(features, "whiten")(features).double()
    after = torch.linalg.eigvalsh(result.T.cov(correction=0))
    expected = before / (before + WHITENING_FLOOR * before.mean())
    torch.testing.assert_close(after, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 16, 24, 96])
def test_a_rotation_levels_any_variances(dim):
    variances = torch.logspace(-3, 2, dim, dtype=torch.float64)
    rotation = levelling(variances)
    eye = torch.eye(dim, dtype=torch.float64)
    torch.testing.assert_close(rotation @ rotation.T, eye, rtol=0, atol=1e-10)
    levelled = (rotation @ torch.diag(variances) @ rotation.T).diagonal()
    torch.testing.assert_close(levelled, variances.mean().expand(dim), rtol=1e-8, atol=0)


def test_features_that_do_not_vary_stay_finite():
    assert balance_of(torch.ones(10, 4), "hadamard")(torch.ones(2, 4)).isfinite().all()
