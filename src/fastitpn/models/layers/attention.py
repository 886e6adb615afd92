"""The attention blocks of stage 3."""

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, fx, nn

from fastitpn.models.layers.feed_forward import GeluMlp, SwiGLU
from fastitpn.models.layers.norm import Norm
from fastitpn.models.layers.onednn import Linear, add_linear, ends_fused, linear
from fastitpn.models.layers.relative_position import OF_BLOCKS, create_relative_position_bias

fx.wrap("add_linear")
fx.wrap("linear")


class Attention(nn.Module):
    """Multi-head self-attention; Fast-iTPN's has a query bias and a value bias, but none on the keys.

    Args:
        dim: Channels.
        num_heads: Heads; contiguous chunks of dim / num_heads channels.
        qkv_bias: Learn `q_bias` and `v_bias`.
        key_bias: Learn a bias on keys as well (iTPN, HiViT); the three are then that of `qkv`.
        relative_position: None, or a kind of relative position bias that this block has itself.
        class_token: Whether the first token is one; the relative position table then has rows for it.
        grid: Patches per column and per row; sizes the relative position table.
        proj_drop: Dropout after the output projection.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        qkv_bias: bool,
        key_bias: bool = False,
        relative_position: str | None,
        class_token: bool = False,
        grid: tuple[int, int],
        proj_drop: float = 0.0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(dim, 3 * dim, bias=qkv_bias and key_bias, device=device, dtype=dtype)
        apart = qkv_bias and not key_bias
        self.q_bias = nn.Parameter(torch.empty(dim, device=device, dtype=dtype)) if apart else None
        self.v_bias = nn.Parameter(torch.empty(dim, device=device, dtype=dtype)) if apart else None
        self.rel_pos_bias = create_relative_position_bias(
            relative_position if relative_position in OF_BLOCKS else None,
            grid,
            num_heads,
            head_dim=dim // num_heads,
            class_token=class_token,
            device=device,
            dtype=dtype,
        )
        self.proj = Linear(dim, dim, device=device, dtype=dtype)
        self.proj_drop = nn.Dropout(proj_drop)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, N, dim] to queries, keys and values, [B, heads, N, head_dim] each."""
        B, N, C = x.shape
        bias: Tensor | None = self.qkv.bias
        if self.q_bias is not None and self.v_bias is not None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        qkv = linear(x, self.qkv.weight, bias)
        qkv = qkv.reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        return q, k, v

    def position_bias(self, q: Tensor, height: int | None, width: int | None) -> Tensor | None:
        """What relative positions add to the logits: broadcasts to [B, heads, N, N]; None without them.

        Args:
            q: Queries [B, heads, N, head_dim].
            height: Rows of the map that the tokens are of; None: of no map, so that nothing is added.
            width: Columns of that map.
        """
        if self.rel_pos_bias is not None and height is not None and width is not None:
            return self.rel_pos_bias(q, height, width)
        return None

    def forward(
        self, x: Tensor, mask: Tensor | None = None, height: int | None = None, width: int | None = None
    ) -> Tensor:
        """Attend within the last but one axis, [..., N, dim] to [..., N, dim]; the arguments are those of `mix`."""
        return self.proj_drop(self.proj(self.mix(x, mask, height, width)))

    def mix(self, x: Tensor, mask: Tensor | None = None, height: int | None = None, width: int | None = None) -> Tensor:
        """What the heads gather, before the output projection.

        Args:
            x: [..., N, dim].
            mask: Broadcasts to [product of the leading axes, heads, N, N]: numbers that are added to the logits (a
                relative position bias), or bools that say who may be attended.
            height: Rows of the map that the tokens are of, for relative positions of this block.
            width: Columns of that map.

        Returns:
            [..., N, dim].
        """
        shape = x.shape
        q, k, v = self.project(x.flatten(0, -3))
        bias = self.position_bias(q, height, width)
        if bias is not None:
            mask = bias if mask is None else mask + bias
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return x.transpose(1, 2).reshape(shape)


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
        key_bias: bool = False,
        init_values: float,
        relative_position: str | None,
        class_token: bool = False,
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
            key_bias=key_bias,
            relative_position=relative_position,
            class_token=class_token,
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

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        num_gathering: int = 0,
        height: int | None = None,
        width: int | None = None,
    ) -> Tensor:
        """One block; without gathering tokens, what is published.

        Args:
            x: [..., N, dim], attention within N; [B, windows, N, dim] with gathering tokens.
            mask: What is added to the logits, or who may be attended, see `Attention.forward`.
            num_gathering: So many first tokens of every window are its gathering tokens: after the attention within
                the windows those of all windows attend with one another, with the same weights (`gathering`).
            height: Rows of the map that the tokens are of, for relative positions of this block.
            width: Columns of that map.

        Returns:
            The shape of `x`.
        """
        x = self._attend(x, mask, height, width)
        if num_gathering > 0:
            B, W, _, C = x.shape
            gathering = x[:, :, :num_gathering].reshape(B, 1, W * num_gathering, C)
            gathering = self._attend(gathering, None).reshape(B, W, num_gathering, C)
            x = torch.cat((gathering, x[:, :, num_gathering:]), dim=2)
        if not torch.jit.is_scripting():
            fc2 = getattr(self.mlp, "fc2", None)  # experts have none
            if fc2 is not None and ends_fused(self.mlp, fc2):
                return add_linear(x, self.mlp.hidden(self.norm2(x)), fc2.weight, fc2.bias, self.gamma_2)
        branch = self.mlp(self.norm2(x))
        if self.gamma_2 is not None:
            branch = branch * self.gamma_2
        return x + self.drop_path(branch)

    def _attend(self, x: Tensor, mask: Tensor | None, height: int | None = None, width: int | None = None) -> Tensor:
        if not torch.jit.is_scripting():
            proj = self.attn.proj
            if ends_fused(self.attn, proj):
                return add_linear(
                    x, self.attn.mix(self.norm1(x), mask, height, width), proj.weight, proj.bias, self.gamma_1
                )
        branch = self.attn(self.norm1(x), mask, height, width)
        if self.gamma_1 is not None:
            branch = branch * self.gamma_1
        return x + self.drop_path(branch)
