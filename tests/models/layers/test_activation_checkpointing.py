"""Gradient checkpointing a few images at a time: the same values and gradients."""

import pytest
import torch
from published import randn

from fastitpn.models.layers import activation_checkpointing as recomputed
from fastitpn.models.layers.activation_checkpointing import in_parts, lists_in_parts
from fastitpn.pretraining.model import create_pretraining_model


@pytest.mark.parametrize("images", [1, 2, 3, 8])
def test_parts_make_the_whole(monkeypatch, images):
    monkeypatch.setattr(recomputed, "PART_PATCHES", images * 4)
    sizes = []

    def function(x, y):
        sizes.append(len(x))
        return [x * y, x.sum(1)]

    x, y = randn(5, 4, 3, seed=1).requires_grad_(), randn(5, 4, 3, seed=2).requires_grad_()
    product, total = lists_in_parts(function, [x, y])
    assert torch.equal(product, x * y)
    assert torch.equal(total, x.sum(1))
    assert max(sizes) == min(images, 5)
    (product.sum() + in_parts(lambda x: x.exp(), [x]).sum()).backward()
    assert torch.allclose(x.grad, y + x.exp())
    assert torch.equal(y.grad, x)


@pytest.mark.parametrize("objective", ["merged", "per_level", "trunk"])
@pytest.mark.parametrize("drop_path_rate", [0.0, 0.5])
def test_a_checkpointed_model_has_the_same_gradients(monkeypatch, objective, drop_path_rate):
    monkeypatch.setattr(recomputed, "PART_PATCHES", 32)
    images, masked = randn(3, 3, 64, 64), torch.rand(3, 16, generator=torch.Generator().manual_seed(1)) < 0.4
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        keys = {"img_size": 64, "drop_path_rate": drop_path_rate, "auxiliary_dim": 8}
        model = create_pretraining_model("fastitpn_nano", teacher_dim=8, objective=objective, **keys).train()
        for module in model.modules():
            if hasattr(module, "set_grad_checkpointing"):
                module.set_grad_checkpointing(checkpointed)
        torch.manual_seed(1)
        predictions = model.predict(images, masked)
        sum(value.square().mean() for value in predictions.values()).backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][name], atol=1e-6), name
