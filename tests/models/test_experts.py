"""A block with experts, against a literal rendering, and the ways from and to files."""

import math

import pytest
import torch
import torch.nn.functional as F
from published import small_model
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.experts import SoftExperts, add_experts
from fastitpn.models.weights.loading import load_weights
from fastitpn.models.weights.official_names import to_official_names


def literal(experts: SoftExperts, x: Tensor) -> Tensor:
    """One sequence [L, D], token by token and slot by slot."""
    E, (L, D) = experts.num_experts, x.shape
    segments = [x[start : start + E].mean(0) for start in range(0, L, E)]
    slots = [(experts.slots.weight @ segment).view(E, D)[e] for e in range(E) for segment in segments]
    slots = [math.sqrt(D) * experts.slot_gamma * slot / slot.norm() for slot in slots]
    logits = torch.stack([torch.stack([token @ slot for slot in slots]) for token in x])
    results = []
    for number, weights in enumerate(logits.softmax(0).T):
        e, y = number // len(segments), weights @ x
        y = F.silu(experts.gate_weight[e] @ y + experts.gate_bias[e]) * (
            experts.value_weight[e] @ y + experts.value_bias[e]
        )
        results.append(experts.fc2_weight[e] @ experts.hidden_norm(y) + experts.fc2_bias[e])
    return logits.softmax(1) @ torch.stack(results)


def randomise(experts: SoftExperts) -> None:
    for number, parameter in enumerate(experts.parameters()):
        generator = torch.Generator().manual_seed(number)
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator) + (parameter.ndim == 1)


@torch.no_grad()
@pytest.mark.parametrize(("length", "num_experts"), [(6, 2), (7, 2), (9, 4), (3, 8), (5, 1)])
def test_it_is_what_is_written(length: int, num_experts: int) -> None:
    """Also where the tokens do not fill the last segment."""
    experts = SoftExperts(8, 12, num_experts)
    randomise(experts)
    x = torch.randn(2, length, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(experts(x), torch.stack([literal(experts, row) for row in x]))


def with_experts(num_experts: int = 4) -> FastITPN:
    torch.manual_seed(0)
    model = small_model(num_classes=0)
    add_experts(model, 2, num_experts)
    return model


@torch.no_grad()
def test_they_start_as_copies_of_the_block_s_network() -> None:
    model, plain = with_experts(), small_model(num_classes=0)
    load_weights(plain, small_model(num_classes=0).state_dict())
    network = plain.stages[2].blocks[1].mlp
    add_experts(plain, 2, 3)
    experts = plain.stages[2].blocks[1].mlp
    for name in ("gate", "value", "fc2"):
        for e in range(3):
            assert torch.equal(getattr(experts, f"{name}_weight")[e], getattr(network, name).weight)
            assert torch.equal(getattr(experts, f"{name}_bias")[e], getattr(network, name).bias)
    assert torch.equal(experts.hidden_norm.weight, network.norm.weight)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 64)


def test_all_of_it_learns() -> None:
    model = with_experts().train()
    model.forward_features(torch.randn(1, 3, 48, 48)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.stages[2].parameters())


def test_to_published_names_and_back() -> None:
    model = with_experts()
    randomise(model.stages[2].blocks[1].mlp)
    official = to_official_names(model.state_dict())
    assert official["blocks.5.experts.w3_weight"].shape == (4, 64, 192)
    assert official["blocks.5.to_slot_embeds.0.weight"].shape == (256, 64)
    other = with_experts()
    assert load_weights(other, {"net": {f"encoder.body.{n}": t for n, t in official.items()}}).ok
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_files_and_models_of_which_one_has_experts() -> None:
    experts, plain = with_experts(), small_model(num_classes=0)
    file = to_official_names(experts.state_dict())
    message = r"blocks=1-1, and a model with depths=\(1, 1, 1\); or add_experts\(model, 2, 4\) before loading"
    with pytest.raises(InputError, match=message):
        load_weights(plain, file)
    with pytest.raises(InputError, match=r"made by add_experts\(model, \.\.\.\) after loading"):
        load_weights(experts, plain.state_dict())


def test_blocks_that_take_none() -> None:
    for block, count in ((0, 2), (3, 2), (1, 0)):
        with pytest.raises(InputError, match=rf"{count} experts in block {block}\n *expected: .* from 1 to 2"):
            add_experts(small_model(), block, count)
    for model in (with_experts(), small_model(swiglu=False), small_model(sub_norm=False)):
        with pytest.raises(InputError, match=r"block 2 has a \w+\n *expected: *a SwiGLU with a norm inside"):
            add_experts(model, 2, 2)
