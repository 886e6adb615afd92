"""Compilers, dtypes and copies see the same model."""

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from published import CASES, classifier, golden, nano, randn, reference_classifier, small_model
from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN


def shallow(**changes: Any) -> FastITPN:
    """One block of each kind: what a compiler meets, once."""
    return small_model(**{"depths": (1, 1, 1), **changes})


def images(case: str) -> Tensor:
    return randn(2, 3, 64, 96 if case == "rect64x96" else 64)


@pytest.mark.parametrize("grad", [False, True])
def test_compiles_without_a_graph_break(grad: bool) -> None:
    model = shallow(pyramid=True)
    compiled = torch.compile(model.forward, fullgraph=True, backend="eager")
    features = torch.compile(model.pyramid_features, fullgraph=True, backend="eager")
    x = torch.randn(2, 3, 64, 64)
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(compiled(x), model(x))
        torch.testing.assert_close(features(x), model.pyramid_features(x))
        larger = torch.randn(1, 3, 96, 64)  # a second size may compile again, but must work
        torch.testing.assert_close(compiled(larger), model(larger))


@torch.no_grad()
@pytest.mark.parametrize("strict", [True, False])
def test_exports(strict: bool) -> None:
    model, x = shallow(), torch.randn(2, 3, 96, 64)
    program = torch.export.export(model, (x,), strict=strict)
    torch.testing.assert_close(program.module()(x), model(x))


@torch.no_grad()
def test_exported_pyramid() -> None:
    class Features(nn.Module):
        def __init__(self, model: FastITPN) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> list[Tensor]:
            return self.model.pyramid_features(x)

    model, x = shallow(pyramid=True), torch.randn(1, 3, 64, 64)
    program = torch.export.export(Features(model), (x,), strict=True)
    torch.testing.assert_close(program.module()(x), model.pyramid_features(x))


@torch.no_grad()
def test_bfloat16_is_near_and_stays_bfloat16(path: str) -> None:
    model, x = nano(pyramid=True, num_classes=10), torch.randn(2, 3, 64, 96)
    model.head.weight.mul_(100)  # a fresh head starts at a hundredth
    expected, levels = model(x), model.pyramid_features(x)
    model.bfloat16()
    logits, halves = model(x.bfloat16()), model.pyramid_features(x.bfloat16())
    assert {logits.dtype, *(level.dtype for level in halves)} == {torch.bfloat16}
    torch.testing.assert_close(logits.float(), expected, atol=0.05, rtol=0.05)
    for half, level in zip(halves, levels, strict=True):
        assert F.cosine_similarity(half.float().flatten(), level.flatten(), dim=0) > 0.999


@torch.no_grad()
def test_autocast_is_near() -> None:
    model, x = classifier("meanpool"), images("meanpool")
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
    torch.testing.assert_close(logits.float(), golden("fast_tiny_meanpool")["logits"], atol=0.1, rtol=0.1)


@torch.no_grad()
def test_float64_agrees_with_the_reference_beyond_float32() -> None:
    model, reference = classifier("meanpool").double(), reference_classifier("meanpool").double()
    x = images("meanpool").double()
    torch.testing.assert_close(model(x), reference(x), atol=1e-6, rtol=1e-6)  # its logits are float32


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_copies_pickles_and_state_dicts_are_the_same_model(case: str) -> None:
    model, fresh = (small_model(**CASES[case], pyramid=True) for _ in range(2))
    x = images(case)
    assert not torch.equal(fresh(x), model(x))
    fresh.load_state_dict(model.state_dict())
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fresh):
        assert torch.equal(twin(x), model(x))
        assert all(torch.equal(a, b) for a, b in zip(twin.pyramid_features(x), model.pyramid_features(x), strict=True))
    assert [*model.state_dict()] == [name for name, _ in model.named_parameters()]  # nothing is kept but parameters


def test_torchscript_of_a_whole_model_and_its_error() -> None:
    model = nano()
    script = torch.jit.script(model)
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(script(x), model(x))
    with pytest.raises(torch.jit.Error, match="pad or resize it to 64x64"):
        script(torch.zeros(1, 3, 60, 64))
