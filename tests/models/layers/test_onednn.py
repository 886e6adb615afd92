from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.models.layers import onednn
from fastitpn.models.layers.feed_forward import GeluMlp, SwiGLU
from fastitpn.models.layers.norm import Norm
from fastitpn.models.layers.onednn import Linear, linear


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
