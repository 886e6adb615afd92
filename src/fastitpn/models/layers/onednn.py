"""Linear layers that use oneDNN's matrix product on a CPU.

PyTorch sends a float32 Linear on a CPU to MKL, which takes its slow path on processors that are not Intel's: on an AMD
core with AVX-512 oneDNN is 2.2 times as fast, and elsewhere about equal (`benchmarks/inference.py` measures it). oneDNN
also applies the activation while the product is in cache. In inference mode it adds the residual as well, which saves
up to 3 %; without that mode the last bits stay as they are in training, whose teachers need no gradients either.
Everywhere else (GPU, other dtypes, autocast, compile, export, TorchScript) these are plain
`torch.nn.functional.linear`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

ENABLED = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""Set to False to use PyTorch's own path, for comparison."""


class Linear(nn.Linear):
    """`torch.nn.Linear` with the same parameters and results, see the module."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] to [..., out_features]."""
        return linear(x, self.weight, self.bias)


@fx.wrap  # so that a graph runs the very same product
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product x @ weight.T + bias, [..., in] to [..., out]."""
    if not torch.jit.is_scripting():
        if _use_onednn(x, weight):
            if torch.is_grad_enabled():
                return _OneDNNLinear.apply(x, weight, bias)
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


@fx.wrap
def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """GELU(x @ weight.T + bias)."""
    if not torch.jit.is_scripting():
        if not torch.is_grad_enabled() and _use_onednn(x, weight):
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")
    return F.gelu(linear(x, weight, bias))


@fx.wrap
def linear_swiglu(x: Tensor, gate: Tensor, gate_bias: Tensor, value: Tensor, value_bias: Tensor) -> Tensor:
    """SiLU(x @ gate.T + gate_bias) * (x @ value.T + value_bias)."""
    if not torch.jit.is_scripting():
        if not torch.is_grad_enabled() and _use_onednn(x, gate):
            gated = torch.ops.mkldnn._linear_pointwise(x, gate, gate_bias, "swish", [], "")
            return torch.ops.mkldnn._linear_pointwise.binary(x, gated, value, value_bias, "mul")
    return F.silu(linear(x, gate, gate_bias)) * linear(x, value, value_bias)


@fx.wrap
def add_linear(residual: Tensor, x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor | None) -> Tensor:
    """The sum residual + scale * (x @ weight.T + bias), where that is faster in one product."""
    if not torch.jit.is_scripting():
        if not torch.is_grad_enabled() and _use_onednn(x, weight) and residual.is_contiguous():
            if scale is not None and x.numel() < weight.shape[1] ** 2:  # fewer rows than inputs
                return torch.addcmul(residual, linear(x, weight, bias), scale)
            if scale is not None:  # cheaper than to scale all rows
                weight, bias = weight * scale[:, None], bias * scale
            return torch.ops.mkldnn._linear_pointwise.binary(x, residual, weight, bias, "add")
    branch = linear(x, weight, bias)
    return residual + (branch if scale is None else branch * scale)


def ends_fused(branch: nn.Module, last: nn.Module | None) -> bool:
    """Whether the last layer of a residual branch may be computed with `add_linear`, in place of calling both.

    Args:
        branch: A module that nobody listens to.
        last: Its last layer, none that a person has put there, such as an adapter's.
    """
    if torch.compiler.is_compiling() or not torch.is_inference_mode_enabled():
        return False
    if branch.training or type(last) is not Linear:
        return False
    return not any(module._forward_hooks or module._forward_pre_hooks for module in (branch, last))


def _use_onednn(x: Tensor, weight: Tensor) -> bool:
    if not ENABLED or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and weight.dtype == torch.float32
    return plain and x.numel() > 0 and bool(torch.backends.mkldnn.enabled) and not torch.is_autocast_enabled("cpu")


class _OneDNNLinear(torch.autograd.Function):
    """A Linear whose three matrix products (output, input gradient, weight gradient) are oneDNN's."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])
        product = torch.ops.mkldnn._linear_pointwise
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_x = product(gradient, weight.t(), None, "none", [], "")
        if ctx.needs_input_grad[1]:
            to_weight = product(rows.t(), x.reshape(-1, x.shape[-1]).t(), None, "none", [], "")
        if ctx.has_bias and ctx.needs_input_grad[2]:
            to_bias = rows.sum(0)
        return to_x, to_weight, to_bias
