"""The objective against the stored numbers and against its formula written out."""

import pytest
import torch
import torch.nn.functional as F
from published import assert_golden, golden, randn

from fastitpn.pretraining.objective import cosine_similarity, feature_loss

NORMS = ("end", "trunk_and_end")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("loss", "loss_on", "name"),
    [
        ("cosine", "masked", "neg_cosine_masked"),
        ("cosine", "all", "neg_cosine_all"),
        ("smooth_l1", "all", "smooth_l1_all"),
    ],
)
def test_published_losses(loss: str, loss_on: str, name: str, norm: str) -> None:
    stored = golden(f"fastmim_recon_tiny_norm_{norm}")
    predictions, targets = stored["masked/pred_all_tokens"], stored["target"]
    value = feature_loss(predictions, targets, stored["mask"], loss=loss, loss_on=loss_on)
    assert_golden(value, stored[f"loss/{name}"])


def test_the_published_loss_is_the_default() -> None:
    stored = golden("fastmim_recon_tiny_norm_end")
    value = feature_loss(stored["masked/pred_all_tokens"], stored["target"], stored["mask"])
    assert_golden(value, stored["loss/neg_cosine_masked"])


def test_cosine_patch_by_patch() -> None:
    predictions, targets = randn(2, 3, 5), randn(2, 3, 5, seed=1)
    masked = torch.tensor([[True, False, True], [False, True, False]])  # counts differ from image to image
    cosines = [float(p @ t / (p.norm() * t.norm())) for p, t in zip(predictions[masked], targets[masked], strict=True)]
    assert float(feature_loss(predictions, targets, masked)) == pytest.approx(-sum(cosines) / 3, abs=1e-6)


def test_smooth_l1_bends_at_one() -> None:
    predictions, targets = torch.tensor([[[0.5, 3.0]]]), torch.zeros(1, 1, 2)
    value = feature_loss(predictions, targets, torch.ones(1, 1, dtype=torch.bool), loss="smooth_l1")
    assert float(value) == pytest.approx((0.5 * 0.5**2 + (3.0 - 0.5)) / 2)


def test_the_best_and_the_worst_cosine() -> None:
    targets, masked = randn(1, 4, 8), torch.ones(1, 4, dtype=torch.bool)
    assert float(feature_loss(3 * targets, targets, masked)) == pytest.approx(-1, abs=1e-6)
    assert float(feature_loss(-targets, targets, masked)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("loss", ["cosine", "smooth_l1"])
def test_visible_patches_get_no_gradient_unless_asked_for(loss: str) -> None:
    masked = torch.tensor([[True, False]])
    for loss_on, reached in (("masked", [True, False]), ("all", [True, True])):
        predictions = randn(1, 2, 4).requires_grad_()
        feature_loss(predictions, randn(1, 2, 4, seed=1), masked, loss=loss, loss_on=loss_on).backward()
        assert predictions.grad is not None
        assert predictions.grad.abs().sum(-1).gt(0).tolist() == [reached]


def test_nothing_hidden_is_no_loss() -> None:
    assert float(feature_loss(randn(1, 2, 4), randn(1, 2, 4, seed=1), torch.zeros(1, 2, dtype=torch.bool))) == 0


def test_half_precision_is_summed_in_float32() -> None:
    predictions, targets, masked = randn(4, 16, 64), randn(4, 16, 64, seed=1), torch.ones(4, 16, dtype=torch.bool)
    half = feature_loss(predictions.bfloat16(), targets, masked)
    assert half.dtype == torch.float32
    expected = feature_loss(predictions.bfloat16().float(), targets, masked)
    assert float(half) == float(expected)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3, 0.0])
def test_cosine_and_its_gradient_are_those_of_pytorch(scale: float) -> None:
    fixed, gradient = randn(3, 5, 7, seed=1), randn(3, 5, seed=2)
    ours, theirs = ((scale * randn(3, 5, 7)).requires_grad_() for _ in range(2))
    value, expected = cosine_similarity(ours, fixed), F.cosine_similarity(theirs, fixed, dim=-1)
    torch.testing.assert_close(value, expected)
    value.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(ours.grad, theirs.grad)
