"""Start values: those measured in the published pre-training (ARCHITECTURE 2.1) and fine-tuning (1.5)."""

import math

import pytest
import torch
from published import small_model, small_pretraining_model
from torch import Tensor, nn

from fastitpn.models.registry import create_model
from fastitpn.pretraining.model import create_pretraining_model

SCALE_BASE = 1.967537
"""sqrt(ln(2 * 24)), printed by the published pre-training of the base size."""


@pytest.fixture(scope="module")
def pretrain() -> nn.Module:
    """Wide enough for statistics, shallow enough for seconds, with the sub-LN scale of the base size."""
    torch.manual_seed(0)
    return create_pretraining_model("fastitpn_base", teacher_dim=768, embed_dim=384, num_heads=6)


def normal(std: float) -> tuple[float, float]:
    """Standard deviation and largest ratio of extremes to it of a normal distribution."""
    return std, 7.0


def uniform(bound: float) -> tuple[float, float]:
    return bound / math.sqrt(3), math.sqrt(3)


def assert_distributed(tensor: Tensor, expected: tuple[float, float]) -> None:
    std, reach = expected
    noise = 4 / math.sqrt(tensor.numel())
    assert tensor.std().item() == pytest.approx(std, rel=max(noise, 0.01))
    assert abs(tensor.mean().item()) < noise * std
    assert tensor.abs().max().item() <= reach * std * (1 + 1e-6)
    assert tensor.abs().max().item() > 0.9 * min(reach, 2.5) * std


def xavier(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2 / (fan_in + fan_out))


def test_pretraining_linear_layers(pretrain: nn.Module) -> None:
    d = 384
    for block in (pretrain.backbone.stages[2].blocks[0], pretrain.backbone.stages[2].blocks[23]):
        q, k, v = block.attn.qkv.weight.chunk(3)
        assert_distributed(q, normal(xavier(d, d)))
        assert_distributed(k, normal(xavier(d, d)))
        assert_distributed(v, normal(xavier(d, d) * SCALE_BASE))
        assert_distributed(block.attn.proj.weight, normal(xavier(d, d) * SCALE_BASE))
        for layer in (block.mlp.gate, block.mlp.value, block.mlp.fc2):
            assert_distributed(layer.weight, normal(xavier(d, 3 * d) * SCALE_BASE))
        for bias in (block.attn.q_bias, block.attn.v_bias, block.attn.proj.bias, block.mlp.gate.bias):
            assert (bias == 0).all()
        assert (block.gamma_1 == 0.1).all()
        assert (block.gamma_2 == 0.1).all()
    assert_distributed(pretrain.predictor.weight, normal(xavier(d, 768)))
    assert (pretrain.predictor.bias == 0).all()


def test_pretraining_convolutions(pretrain: nn.Module) -> None:
    """PyTorch's default, times the sub-LN scale (weights and biases) where a published name has `mlp.fc`."""
    trunk, pyramid = pretrain.backbone, pretrain.backbone.pyramid
    default = lambda fan_in: 1 / math.sqrt(fan_in)  # noqa: E731
    for block, dim, hidden in (
        (trunk.stages[0].blocks[0], 96, 288),
        (trunk.stages[1].blocks[2], 192, 576),
        (pyramid.output16, 256, 682),
        (pyramid.refine4[0], 256, 682),
    ):
        assert_distributed(block.mlp.fc1.weight, uniform(default(dim) * SCALE_BASE))
        assert_distributed(block.mlp.fc2.weight, uniform(default(hidden) * SCALE_BASE))
        assert_distributed(block.mlp.fc2.bias, uniform(default(hidden) * SCALE_BASE))
    for layer, fan_in in (
        (trunk.stages[1].merge.reduction, 4 * 96),
        (trunk.stages[2].merge.reduction, 4 * 192),
        (pyramid.lateral16, 384),
        (pyramid.lateral8, 192),
        (pyramid.up8, 4 * 256),  # a transposed convolution's fan-in are its outputs
        (pyramid.up4, 4 * 256),
        (pretrain.merge16.proj, 256),
        (pretrain.merge4.proj, 16 * 256),
    ):
        assert_distributed(layer.weight, uniform(default(fan_in)))
        assert_distributed(layer.bias, uniform(default(fan_in)))
    assert_distributed(trunk.patch_embed.proj.weight, uniform(math.sqrt(6 / (48 + 96))))
    assert_distributed(trunk.patch_embed.proj.bias, uniform(default(48)))


def test_pretraining_tables_are_cut_at_one_standard_deviation(pretrain: nn.Module) -> None:
    """The published run printed a mean |x| of 0.0092 and a range of 0.04."""
    for table in (pretrain.backbone.pos_embed, pretrain.mask_token):
        assert table.abs().max() <= 0.02
        assert table.abs().mean().item() == pytest.approx(0.0092, rel=0.02)
        assert (table.max() - table.min()).item() == pytest.approx(0.04, rel=0.01)


def test_finetuning_values() -> None:
    model = create_model("fastitpn_base", embed_dim=384, depths=(1, 1, 2), num_heads=6, pyramid=True, class_token=True)
    block = model.stages[2].blocks[1]
    for layer in (block.attn.qkv, block.attn.proj, block.mlp.gate, block.mlp.fc2):
        assert_distributed(layer.weight, normal(0.02))
        assert layer.bias is None or (layer.bias == 0).all()
    assert_distributed(model.pos_embed, normal(0.02))
    assert_distributed(model.head.weight, normal(0.02 * 0.01))
    assert (model.head.bias == 0).all()
    assert (block.gamma_1 == 0.1).all()
    default = lambda fan_in: uniform(1 / math.sqrt(fan_in))  # noqa: E731
    assert_distributed(model.patch_embed.proj.weight, default(48))
    assert_distributed(model.stages[0].blocks[0].mlp.fc1.weight, default(96))
    assert_distributed(model.stages[0].blocks[0].mlp.fc1.bias, default(96))
    assert_distributed(model.stages[2].merge.reduction.weight, default(4 * 192))
    assert_distributed(model.pyramid.output8.mlp.fc2.weight, default(682))


def test_norms_start_at_one_and_zero() -> None:
    for model in (small_model(pyramid=True, fc_norm=False), small_pretraining_model()):
        norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
        assert len(norms) > 15
        assert all((norm.weight == 1).all() and (norm.bias == 0).all() and norm.eps == 1e-6 for norm in norms)


@pytest.mark.parametrize("size", ["nano", "tiny"])
@pytest.mark.parametrize("scheme", ["finetune", "pretrain"])
@pytest.mark.parametrize("arguments", [{}, {"class_token": True, "relative_position": "own", "fc_norm": False}])
def test_every_weight_is_initialised(size: str, scheme: str, arguments: dict) -> None:
    model = create_model(f"fastitpn_{size}", pyramid=True, depths=(1, 1, 1), device="meta", **arguments)
    poison(model)
    model.init_weights(scheme)
    assert_finite(model)


@pytest.mark.parametrize("relative_position", ["own", "shared", "shared_decoupled"])
def test_relative_positions_are_initialised(relative_position: str) -> None:
    model = poison(small_model(class_token=True, relative_position=relative_position, device="meta"))
    model.init_weights()
    assert_finite(model)


def test_every_weight_of_the_pretraining_model_is_initialised() -> None:
    model = poison(create_pretraining_model("fastitpn_nano", teacher_dim=8, device="meta"))
    model.init_weights()
    assert_finite(model)
    assert model.mask_token.abs().max() <= 0.02


def poison(model: nn.Module) -> nn.Module:
    assert all(p.is_meta for p in model.parameters())
    model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(float("nan"))
    return model


def assert_finite(model: nn.Module) -> None:
    assert not [name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()]
