from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fastitpn
from fastitpn.models.layers import attention, cell_blocks, onednn
from fastitpn.models.layers.feed_forward import GeluMlp, SwiGLU
from fastitpn.models.layers.norm import Norm
from fastitpn.models.layers.onednn import Linear, add_linear, linear


def plain_mlp(mlp: GeluMlp, x: Tensor) -> Tensor:
    return F.linear(mlp.norm(F.gelu(F.linear(x, mlp.fc1.weight, mlp.fc1.bias))), mlp.fc2.weight, mlp.fc2.bias)


def plain_swiglu(mlp: SwiGLU, x: Tensor) -> Tensor:
    gate, value = (F.linear(x, layer.weight, layer.bias) for layer in (mlp.gate, mlp.value))
    return F.linear(mlp.norm(F.silu(gate) * value), mlp.fc2.weight, mlp.fc2.bias)


def plain_linear(layer: Linear, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight, layer.bias)


CASES = [
    pytest.param(lambda: Linear(24, 40), plain_linear, id="linear"),
    pytest.param(lambda: Linear(24, 40, bias=False), plain_linear, id="linear without bias"),
    pytest.param(lambda: GeluMlp(24, 40), plain_mlp, id="mlp"),
    pytest.param(lambda: GeluMlp(24, 40, Norm), plain_mlp, id="mlp with norm"),
    pytest.param(lambda: SwiGLU(24, 40), plain_swiglu, id="swiglu"),
    pytest.param(lambda: SwiGLU(24, 40, Norm), plain_swiglu, id="swiglu with norm"),
]


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(("build", "plain"), CASES)
@pytest.mark.parametrize("shape", [(24,), (7, 24), (2, 3, 5, 24)])
def test_equals_pytorch_in_value_and_gradient(
    build: Callable[[], nn.Module],
    plain: Callable[[nn.Module, Tensor], Tensor],
    shape: tuple[int, ...],
    enabled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onednn, "ENABLED", enabled and onednn.ENABLED)
    layer, x = build(), torch.randn(shape, requires_grad=True)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), plain(layer, x))
    inputs = (x, *layer.parameters())
    outputs = layer(x)
    upstream = torch.randn_like(outputs)
    actual = torch.autograd.grad(outputs, inputs, upstream)
    expected = torch.autograd.grad(plain(layer, x), inputs, upstream)
    torch.testing.assert_close(actual, expected)


def test_takes_views_and_no_rows_at_all() -> None:
    layer = Linear(24, 40)
    transposed = torch.randn(24, 6, 5).permute(1, 2, 0)
    torch.testing.assert_close(layer(transposed), plain_linear(layer, transposed))
    assert layer(torch.empty(0, 24)).shape == (0, 40)
    half = torch.randn(6, 48)[:, ::2].requires_grad_()
    torch.testing.assert_close(
        torch.autograd.grad(layer(half).sum(), half), torch.autograd.grad(plain_linear(layer, half).sum(), half)
    )


def test_frozen_weights_get_no_gradient() -> None:
    layer, x = Linear(24, 40).requires_grad_(False), torch.randn(3, 24, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None


def test_other_dtypes_and_autocast_take_pytorchs_own_path() -> None:
    layer, x = Linear(24, 40), torch.randn(3, 24)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    for dtype in (torch.bfloat16, torch.float64):
        assert torch.equal(linear(x.to(dtype), layer.weight.to(dtype)), F.linear(x.to(dtype), layer.weight.to(dtype)))


def test_parameters_are_those_of_pytorchs_linear() -> None:
    assert list(Linear(2, 3).state_dict()) == list(nn.Linear(2, 3).state_dict())


@pytest.mark.skipif(not onednn.ENABLED, reason="this PyTorch has no oneDNN")
def test_onednn_is_used_where_it_should_be() -> None:
    x, weight = torch.randn(4, 24), torch.randn(40, 24)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        linear(x, weight)
    assert any("mkldnn::_linear_pointwise" in event.key for event in profile.key_averages())


@pytest.mark.parametrize("build", [GeluMlp, SwiGLU])
def test_dropout_follows_the_activation_and_the_output(build: Callable[..., nn.Module]) -> None:
    mlp, x = build(24, 40, drop=0.5), torch.randn(8, 24)
    seen: list[int] = []
    mlp.drop.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[-1]))
    assert ((mlp(x) == 0).float().mean() - 0.5).abs() < 0.2
    assert seen == [40, 24]
    mlp.eval()
    assert torch.equal(mlp(x), mlp(x))


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("rows", [5, 300])  # few: the output is scaled, many: the weights
@pytest.mark.parametrize("enabled", [True, False])
def test_a_residual_is_added_with_the_last_product(enabled, rows, scaled, monkeypatch) -> None:
    monkeypatch.setattr(onednn, "ENABLED", enabled and onednn.ENABLED)
    layer, scale = Linear(24, 40), torch.randn(40) if scaled else None
    residual, x = torch.randn(2, rows, 40), torch.randn(2, rows, 24)
    with torch.inference_mode():
        result = add_linear(residual, x, layer.weight, layer.bias, scale)
        branch = F.linear(x, layer.weight, layer.bias)
        expected = residual + (branch * scale if scaled else branch)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


class TestWhereBranchesEndFused:
    """In inference mode alone, and not where somebody listens to a layer or has put another one there."""

    def test_values(self, monkeypatch) -> None:
        model = fastitpn.create_model("fastitpn_nano", img_size=64, depths=(1, 1, 2), init_values=0.5).eval()
        images = torch.randn(2, 3, 64, 96)
        with torch.no_grad():
            plain = model(images)
        calls = []
        for module in (attention, cell_blocks):
            monkeypatch.setattr(module, "add_linear", lambda *parts: calls.append(1) or onednn.add_linear(*parts))
        with torch.no_grad():
            assert torch.equal(model(images), plain)
            assert not calls
        with torch.inference_mode():
            torch.testing.assert_close(model(images), plain, atol=1e-5, rtol=1e-5)
            assert len(calls) == 1 + 1 + 2 * 2
            model.train()(images)
            assert len(calls) == 6

    def test_hooks_are_called_and_adapters_count(self) -> None:
        class Adapted(Linear):
            def forward(self, x: Tensor) -> Tensor:
                return 0 * x[..., :1] + 7.0

        model = fastitpn.create_model("fastitpn_nano", img_size=64, depths=(1, 1, 1)).eval()
        block, seen = model.stages[2].blocks[0], []
        for layer in (block.attn.proj, block.mlp, model.stages[0].blocks[0].mlp.fc2):
            layer.register_forward_hook(lambda *_: seen.append(1))
        fc2 = Adapted(block.mlp.fc2.in_features, block.mlp.fc2.out_features).eval()
        with torch.inference_mode():
            plain = model(torch.zeros(1, 3, 64, 64))
            assert len(seen) == 3
            block.mlp.fc2 = fc2
            assert not torch.allclose(model(torch.zeros(1, 3, 64, 64)), plain)
