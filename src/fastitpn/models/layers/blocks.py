"""The blocks of the trunk: attention-free cell blocks, merges, and the attention blocks of stage 3."""

from functools import partial

import torch
import torch.nn.functional as F
from timm.layers import DropPath, LayerNorm
from torch import Tensor, fx, nn

from fastitpn.models.layers.activation_checkpointing import in_parts
from fastitpn.models.layers.linear import GeluMlp, Linear, SwiGLU, linear
from fastitpn.models.layers.relative_position import create_relative_position_bias

fx.wrap("linear")

Norm = partial(LayerNorm, eps=1e-6)
"""Every LayerNorm of the published models: affine, eps 1e-6."""


class PatchEmbed(nn.Module):
    """4x4 pixel cells to vectors (the published Conv2d, kernel 4, stride 4), in hierarchical order."""

    def __init__(self, in_chans: int, dim: int, device=None, dtype=None):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, dim, kernel_size=4, stride=4, device=device, dtype=dtype)

    def forward(self, patches: Tensor) -> Tensor:
        """Embed cells of pixels.

        Args:
            patches: [..., 16, in_chans * 16], from `cells.patchify`.

        Returns:
            [..., 16, dim].
        """
        return linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class CellBlock(nn.Module):
    """Attention-free block of stages 1-2 and of the pyramid: x + DropPath(MLP(LN(x))), cell by cell.

    Args:
        dim: Channels.
        hidden: Width of the MLP.
        sub_norm: LayerNorm on the hidden activations (published `ffn_ln`; trunk only, never in the pyramid).
        drop_path: Probability of leaving the branch out, per sample.
    """

    def __init__(self, dim: int, hidden: int, *, sub_norm: bool, drop_path: float = 0.0, device=None, dtype=None):
        super().__init__()
        self.norm = Norm(dim, device=device, dtype=dtype)
        self.mlp = GeluMlp(dim, hidden, Norm if sub_norm else None, device=device, dtype=dtype)
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()

    def forward(self, x: Tensor, recomputed: bool = False) -> Tensor:
        """[..., dim] to [..., dim]; `recomputed` keeps no activations for the backward pass."""
        if recomputed and not torch.jit.is_scripting():
            return x + self.drop_path(in_parts(self._branch, [x]))  # DropPath is drawn for the whole batch
        return x + self.drop_path(self._branch(x))

    def _branch(self, x: Tensor) -> Tensor:
        return self.mlp(self.norm(x))


class CellMerge(nn.Module):
    """2x2 cells to one of twice the channels: LN over channels, then a 2x2 convolution of stride 2 (as a Linear)."""

    def __init__(self, dim: int, device=None, dtype=None):
        super().__init__()
        self.norm = Norm(dim, device=device, dtype=dtype)
        self.reduction = Linear(4 * dim, 2 * dim, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[..., 4K, dim] to [..., K, 2 * dim]."""
        return self.reduction(self.norm(x).unflatten(-2, (-1, 4)).flatten(-2))


class CellSplit(nn.Module):
    """One cell to 2x2 of the next finer level: LN over channels, then a 2x2 transposed convolution of stride 2."""

    def __init__(self, dim: int, out_dim: int, device=None, dtype=None):
        super().__init__()
        self.norm = Norm(dim, device=device, dtype=dtype)
        self.weight = nn.Parameter(torch.empty(4 * out_dim, dim, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_dim, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """[..., K, dim] to [..., 4K, out_dim]."""
        x = linear(self.norm(x), self.weight, self.bias.repeat(4))
        return x.unflatten(-1, (4, -1)).flatten(-3, -2)


class Attention(nn.Module):
    """Multi-head self-attention with a query bias and a value bias, but none on the keys.

    Args:
        dim: Channels.
        num_heads: Heads; contiguous chunks of dim / num_heads channels.
        qkv_bias: Learn `q_bias` and `v_bias`.
        relative_position: None, or "own" for a relative position bias of this block (class token models only).
        grid: Patches per column and per row; sizes the relative position table.
        proj_drop: Dropout after the output projection.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        qkv_bias: bool,
        relative_position: str | None,
        grid: tuple[int, int],
        proj_drop: float = 0.0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(dim, 3 * dim, bias=False, device=device, dtype=dtype)
        self.q_bias = nn.Parameter(torch.empty(dim, device=device, dtype=dtype)) if qkv_bias else None
        self.v_bias = nn.Parameter(torch.empty(dim, device=device, dtype=dtype)) if qkv_bias else None
        self.rel_pos_bias = create_relative_position_bias(
            relative_position if relative_position == "own" else None, grid, num_heads, device=device, dtype=dtype
        )
        self.proj = Linear(dim, dim, device=device, dtype=dtype)
        self.proj_drop = nn.Dropout(proj_drop)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, N, dim] to queries, keys and values, [B, heads, N, head_dim] each."""
        B, N, C = x.shape
        bias = None
        if self.q_bias is not None and self.v_bias is not None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        qkv = linear(x, self.qkv.weight, bias)
        qkv = qkv.reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        return q, k, v

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within the last but one axis.

        Args:
            x: [..., N, dim].
            mask: Broadcasts to [product of the leading axes, heads, N, N]: numbers that are added to the logits (a
                relative position bias), or bools that say who may be attended.

        Returns:
            [..., N, dim].
        """
        shape = x.shape
        q, k, v = self.project(x.flatten(0, -3))
        if self.rel_pos_bias is not None:
            own_bias = self.rel_pos_bias()
            mask = own_bias if mask is None else mask + own_bias
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x.transpose(1, 2).reshape(shape)
        return self.proj_drop(self.proj(x))


class AttentionBlock(nn.Module):
    """Block of stage 3: x + gamma_1 * Attn(LN(x)), then x + gamma_2 * FFN(LN(x)); both with DropPath.

    Args:
        dim: Channels.
        num_heads: Attention heads.
        hidden: Width of the feed-forward network.
        swiglu: SwiGLU (published) or a plain GELU MLP.
        sub_norm: LayerNorm inside the feed-forward network.
        init_values: Start of the layer scales gamma_1 and gamma_2; 0 for none.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        hidden: int,
        swiglu: bool,
        sub_norm: bool,
        qkv_bias: bool,
        init_values: float,
        relative_position: str | None,
        grid: tuple[int, int],
        drop: float = 0.0,
        drop_path: float = 0.0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        self.norm1 = Norm(dim, **dd)
        self.attn = Attention(
            dim,
            num_heads,
            qkv_bias=qkv_bias,
            relative_position=relative_position,
            grid=grid,
            proj_drop=drop,
            **dd,
        )
        self.norm2 = Norm(dim, **dd)
        feed_forward = SwiGLU if swiglu else GeluMlp
        self.mlp = feed_forward(dim, hidden, Norm if sub_norm else None, drop, **dd)
        self.gamma_1 = nn.Parameter(torch.empty(dim, **dd)) if init_values else None
        self.gamma_2 = nn.Parameter(torch.empty(dim, **dd)) if init_values else None
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None = None, num_gathering: int = 0) -> Tensor:
        """One block; without gathering tokens, what is published.

        Args:
            x: [..., N, dim], attention within N; [B, windows, N, dim] with gathering tokens.
            mask: As for `Attention`.
            num_gathering: So many first tokens of every window are its gathering tokens: after the attention within
                the windows those of all windows attend with one another, with the same weights (`gathering`).

        Returns:
            The shape of `x`.
        """
        x = self._attend(x, mask)
        if num_gathering > 0:
            B, W, _, C = x.shape
            gathering = x[:, :, :num_gathering].reshape(B, 1, W * num_gathering, C)
            gathering = self._attend(gathering, None).reshape(B, W, num_gathering, C)
            x = torch.cat((gathering, x[:, :, num_gathering:]), dim=2)
        branch = self.mlp(self.norm2(x))
        if self.gamma_2 is not None:
            branch = branch * self.gamma_2
        return x + self.drop_path(branch)

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        branch = self.attn(self.norm1(x), mask)
        if self.gamma_1 is not None:
            branch = branch * self.gamma_1
        return x + self.drop_path(branch)


class Stage(nn.Module):
    """A merge (none in stage 1) and the blocks that follow it."""

    def __init__(self, merge: nn.Module, blocks: list[nn.Module]):
        super().__init__()
        self.merge = merge
        self.blocks = nn.ModuleList(blocks)
