# ruff: noqa: D102  (what a forward does is said by its class)
"""iTPN's classifier written out literally: the baseline of its speed ratio, and an oracle of the tests.

Plain PyTorch from the published description: the inner patches of a 16x16 patch as [B, N, 4, 4, C], Linear layers,
softmax attention spelled out in float32 with a bias looked up for every pair of patches; nothing fused, nothing slowed
down on purpose. Parameter names and shapes are the published ones. HiViT is the same without layer scales, with 2 or 4
blocks in stages 1 and 2. Images are [B, 3, H, W], N = H/16 * W/16, D = `embed_dim`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.reference import LayerNorm, mlp

_BASE: dict[str, Any] = {"embed_dim": 512, "depths": (3, 3, 24), "num_heads": 8, "img_size": 224}
_LARGE: dict[str, Any] = {"embed_dim": 768, "depths": (2, 2, 40), "num_heads": 12, "img_size": 224}
_PIXEL: dict[str, Any] = {"init_values": 0.0, "relative_position": False}
SIZES: dict[str, dict[str, Any]] = {
    "itpn_base": _BASE,
    "itpn_large": _LARGE,
    "itpn_base_pixel": {**_BASE, **_PIXEL},
    "itpn_large_pixel": {**_LARGE, **_PIXEL},
}


class PatchEmbed(nn.Module):
    """4x4 convolution and LN, as inner patches [B, N, 4, 4, dim]."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj, self.norm = nn.Conv2d(3, dim, 4, stride=4), LayerNorm(dim)

    def forward(self, images: Tensor) -> Tensor:
        x = self.proj(images)
        B, C, H, W = x.shape
        x = x.view(B, C, H // 4, 4, W // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(B, -1, 4, 4, C)
        return self.norm(x)


class Merge(nn.Module):
    """2x2 inner patches to one: joined, LN over all their channels, Linear without bias."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.reduction = LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        even, odd = x[..., 0::2, :, :], x[..., 1::2, :, :]
        x = torch.cat([even[..., 0::2, :], odd[..., 0::2, :], even[..., 1::2, :], odd[..., 1::2, :]], dim=-1)
        return self.reduction(self.norm(x))


class Attention(nn.Module):
    """Softmax attention in float32, with a table of [(2S - 1)^2, heads] biases if asked for."""

    def __init__(self, dim: int, num_heads: int, side: int, relative_position: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.relative_position_bias_table = (
            nn.Parameter(torch.zeros((2 * side - 1) ** 2, num_heads)) if relative_position else None
        )

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if self.relative_position_bias_table is not None:
            bias = self.relative_position_bias_table[index.view(-1)].view(N, N, -1).permute(2, 0, 1)
            logits = logits + bias
        shares = logits.float().softmax(dim=-1).to(v.dtype)
        return self.proj((shares @ v).transpose(1, 2).reshape(B, N, C))


class Block(nn.Module):
    """x + gamma_1 * Attention(LN(x)) where there is attention, then x + gamma_2 * MLP(LN(x))."""

    def __init__(self, dim: int, hidden: int, attention: Attention | None, init_values: float) -> None:
        super().__init__()
        gamma = nn.Parameter(torch.full((dim,), init_values)) if init_values else 1.0
        self.gamma_2, self.norm2, self.mlp = gamma, LayerNorm(dim), mlp(dim, hidden, sub_norm=False, maps=False)
        self.attn = attention
        if attention is not None:
            self.gamma_1 = nn.Parameter(torch.full((dim,), init_values)) if init_values else 1.0
            self.norm1 = LayerNorm(dim)

    def forward(self, x: Tensor, index: Tensor | None = None) -> Tensor:
        if self.attn is not None:
            x = x + self.gamma_1 * self.attn(self.norm1(x), index)
        return x + self.gamma_2 * self.mlp(self.norm2(x))


class ReferenceITPN(nn.Module):
    """Logits [B, num_classes] at the size that it was built for: mean of the tokens, LN, head."""

    def __init__(
        self,
        *,
        embed_dim: int,
        depths: tuple[int, int, int],
        num_heads: int,
        img_size: int,
        num_classes: int = 1000,
        init_values: float = 0.1,
        relative_position: bool = True,
    ) -> None:
        super().__init__()
        low, mid, dim, side = embed_dim // 4, embed_dim // 2, embed_dim, img_size // 16
        self.first_attention = depths[0] + depths[1] + 2
        self.patch_embed = PatchEmbed(low)
        self.absolute_pos_embed = nn.Parameter(torch.zeros(1, side * side, dim))
        self.blocks = nn.ModuleList(Block(low, 3 * low, None, init_values) for _ in range(depths[0]))
        self.blocks.append(Merge(low))
        self.blocks.extend(Block(mid, 3 * mid, None, init_values) for _ in range(depths[1]))
        self.blocks.append(Merge(mid))
        for _ in range(depths[2]):
            attention = Attention(dim, num_heads, side, relative_position)
            self.blocks.append(Block(dim, 4 * dim, attention, init_values))
        self.fc_norm, self.head = LayerNorm(dim), nn.Linear(dim, num_classes)
        places = torch.cartesian_prod(torch.arange(side), torch.arange(side))
        rows, columns = (places[:, None] - places[None] + side - 1).unbind(-1)
        self.register_buffer("relative_position_index", rows * (2 * side - 1) + columns)

    def forward_features(self, images: Tensor) -> Tensor:
        x = self.patch_embed(images)
        for block in self.blocks[: self.first_attention]:
            x = block(x)
        x = x[..., 0, 0, :] + self.absolute_pos_embed
        for block in self.blocks[self.first_attention :]:
            x = block(x, self.relative_position_index)
        return x

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.fc_norm(self.forward_features(images).mean(dim=1)))
