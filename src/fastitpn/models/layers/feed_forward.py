"""The feed-forward networks of the blocks: a GELU MLP, and SwiGLU for stage 3."""

from torch import Tensor, fx, nn

from fastitpn.models.layers.onednn import Linear, linear_gelu, linear_swiglu

fx.wrap("linear_gelu")
fx.wrap("linear_swiglu")


class GeluMlp(nn.Module):
    """fc2(norm(GELU(fc1(x)))), exact (erf) GELU; the published MLP of the attention-free blocks.

    Args:
        dim: Channels.
        hidden: Hidden width.
        norm: Norm class on the hidden activations (published `ffn_ln`), None for none.
        drop: Dropout after each layer.
    """

    def __init__(self, dim: int, hidden: int, norm=None, drop: float = 0.0, device=None, dtype=None):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        self.fc1 = Linear(dim, hidden, **dd)
        self.norm = norm(hidden, **dd) if norm is not None else nn.Identity()
        self.fc2 = Linear(hidden, dim, **dd)
        self.drop = nn.Dropout(drop)

    def hidden(self, x: Tensor) -> Tensor:
        """[..., dim] to the input of fc2, [..., hidden]."""
        return self.norm(self.drop(linear_gelu(x, self.fc1.weight, self.fc1.bias)))

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to [..., dim]."""
        return self.drop(self.fc2(self.hidden(x)))


class SwiGLU(nn.Module):
    """fc2(norm(SiLU(gate(x)) * value(x))); the published feed-forward network of stage 3 (w1, w2, w3)."""

    def __init__(self, dim: int, hidden: int, norm=None, drop: float = 0.0, device=None, dtype=None):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        self.gate = Linear(dim, hidden, **dd)
        self.value = Linear(dim, hidden, **dd)
        self.norm = norm(hidden, **dd) if norm is not None else nn.Identity()
        self.fc2 = Linear(hidden, dim, **dd)
        self.drop = nn.Dropout(drop)

    def hidden(self, x: Tensor) -> Tensor:
        """[..., dim] to the input of fc2, [..., hidden]."""
        x = linear_swiglu(x, self.gate.weight, self.gate.bias, self.value.weight, self.value.bias)
        return self.norm(self.drop(x))

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to [..., dim]."""
        return self.drop(self.fc2(self.hidden(x)))
