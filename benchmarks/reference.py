# ruff: noqa: D102  (what a forward does is said by its class)
"""Fast-iTPN written out literally: the oracle of the tests and the baseline of every speed ratio.

Plain PyTorch from the published description: NCHW maps, 1x1 convolutions, LayerNorm over channels by permuting there
and back, q, k and v apart, softmax attention spelled out in float32; nothing fused, nothing slowed down on purpose; no
dropout, no drop path. Parameter names and shapes are the published ones. Images are [B, 3, H, W], H and W multiples of
16, grid = (H/16, W/16), N = H/16 * W/16, D = `embed_dim`. Weights start at PyTorch's defaults (tokens, positions at 0).
"""

import zlib
from collections import OrderedDict
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZES: dict[str, dict[str, Any]] = {  # depths: blocks at 1/4, 1/8 and 1/16, without the two merges between them
    "tiny": {"embed_dim": 384, "depths": (1, 1, 12), "num_heads": 6, "img_size": 224},
    "small": {"embed_dim": 384, "depths": (2, 2, 20), "num_heads": 6, "img_size": 224},
    "base": {"embed_dim": 512, "depths": (3, 3, 24), "num_heads": 8, "img_size": 224},
    "large": {"embed_dim": 768, "depths": (2, 2, 40), "num_heads": 12, "img_size": 256},
}


def rule_weights(model: nn.Module) -> None:
    """Fill every parameter by the golden weight rule: a public value that depends on its name and shape only."""
    for name, parameter in model.named_parameters():
        parameter.data.copy_(rule_value(name, parameter.shape))


def rule_value(name: str, shape: torch.Size) -> Tensor:
    """The value of one parameter under the golden weight rule."""
    z = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    leaf = name.rsplit(".", 1)[-1]
    if leaf.endswith(("pos_embed", "_token", "bias_table")):
        return 0.5 * z
    if z.ndim >= 2:
        return z * (z.numel() / z.shape[0]) ** -0.5
    if leaf in ("gamma_1", "gamma_2"):
        return 0.5 + 0.1 * z
    return (1.0 if leaf == "weight" else 0.0) + 0.1 * z


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of a map [B, C, h, w]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


LayerNorm, ChannelNorm = partial(nn.LayerNorm, eps=1e-6), partial(ChannelLayerNorm, eps=1e-6)


def mlp(dim: int, hidden: int, sub_norm: bool, maps: bool) -> nn.Sequential:
    """fc2(LN(GELU(fc1 x))) with the erf GELU, on maps (1x1 convolutions) or tokens; the LN only with `sub_norm`."""
    layer, norm = (partial(nn.Conv2d, kernel_size=1), ChannelNorm) if maps else (nn.Linear, LayerNorm)
    ffn_ln = norm(hidden) if sub_norm else nn.Identity()
    return nn.Sequential(OrderedDict(fc1=layer(dim, hidden), act=nn.GELU(), ffn_ln=ffn_ln, fc2=layer(hidden, dim)))


def resample(dim: int, out_dim: int, convolution: type[nn.Conv2d] | type[nn.ConvTranspose2d]) -> nn.Sequential:
    """LN over channels, then 2x2 with stride 2: a merge halves a map (Conv2d), a split doubles it (ConvTranspose2d)."""
    return nn.Sequential(OrderedDict(norm=ChannelNorm(dim), reduction=convolution(dim, out_dim, 2, stride=2)))


class PatchEmbed(nn.Module):
    """4x4 convolution; then whole 16x16 patches of the map can be replaced by a mask token [1, 1, 16 * dim]."""

    def __init__(self, dim: int, stop_grad: bool = False) -> None:
        super().__init__()
        self.stop_grad = stop_grad
        self.proj = nn.Conv2d(3, dim, 4, stride=4)

    def forward(self, images: Tensor, mask_token: Tensor | None = None, masked: Tensor | None = None) -> Tensor:
        x = self.proj(images)  # [B, dim, H/4, W/4]
        if self.stop_grad:
            x = 0.9 * x.detach() + 0.1 * x
        if mask_token is not None and masked is not None:
            cells = F.unfold(x, 4, stride=4).transpose(1, 2)  # [B, N, dim * 4 * 4], channel-major
            m = masked.unsqueeze(-1).to(x.dtype)
            cells = cells * (1 - m) + mask_token * m
            x = F.fold(cells.transpose(1, 2), x.shape[-2:], 4, stride=4)
        return x


class ConvBlock(nn.Module):
    """x + MLP(LN(x)) on a map: no attention, no layer scale."""

    def __init__(self, dim: int, hidden: int, sub_norm: bool = False) -> None:
        super().__init__()
        self.norm2, self.mlp = ChannelNorm(dim), mlp(dim, hidden, sub_norm, maps=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm2(x))


class SwiGLU(nn.Module):
    """w3(LN(SiLU(w1 x) * w2 x)); the LN only with `sub_norm`."""

    def __init__(self, dim: int, hidden: int, sub_norm: bool) -> None:
        super().__init__()
        self.w1, self.w2, self.w3 = nn.Linear(dim, hidden), nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.ffn_ln = LayerNorm(hidden) if sub_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.w3(self.ffn_ln(F.silu(self.w1(x)) * self.w2(x)))


def relative_bias(tables: nn.ParameterDict | dict[str, nn.Parameter], grid: tuple[int, int]) -> Tensor:
    """Attention bias [heads, 1 + N, 1 + N]: the sum over tables of the row for the offset of two tokens.

    The joint table (as BEiT) counts query minus key, those by height and by width count key minus query. The last three
    rows belong to the class token, which is in front: from it, to it, to itself.
    """
    cells = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1]))  # [N, 2]
    rows, columns = (cells[:, None] - cells + torch.tensor(grid) - 1).unbind(-1)  # query minus key, from 0
    offsets = {"table": rows * (2 * grid[1] - 1) + columns, "for_high": rows.T, "for_width": columns.T}
    biases = []
    for name, table in tables.items():
        index = F.pad(offsets[name.removeprefix("relative_position_bias_")], (1, 0, 1, 0))  # [1 + N, 1 + N]
        index[0, :], index[:, 0], index[0, 0] = len(table) - 3, len(table) - 2, len(table) - 1
        biases.append(table[index])
    return torch.stack(biases).sum(dim=0).permute(2, 0, 1)


class Attention(nn.Module):
    """Softmax attention, logits in float32, biases on q and v but not on k; `sub_norm` keeps q, k and v apart."""

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool, sub_norm: bool, grid: tuple[int, int] | None) -> None:
        super().__init__()
        self.num_heads, self.sub_norm, self.grid = num_heads, sub_norm, grid
        if sub_norm:
            self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        else:
            self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim)) if qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(dim)) if qkv_bias else None
        self.proj = nn.Linear(dim, dim)
        if grid is not None:
            num_rows = (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3
            self.relative_position_bias_table = nn.Parameter(torch.zeros(num_rows, num_heads))

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.sub_norm:
            wq, wk, wv = self.q_proj.weight, self.k_proj.weight, self.v_proj.weight
        else:
            wq, wk, wv = self.qkv.weight.chunk(3)
        q, k, v = F.linear(x, wq, self.q_bias), F.linear(x, wk), F.linear(x, wv, self.v_bias)  # [B, N, D]
        q, k, v = (t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (q, k, v))  # [B, heads, N, d]
        logits = (q * q.shape[-1] ** -0.5).float() @ k.float().transpose(-2, -1)  # [B, heads, N, N]
        if self.grid is not None:
            bias = relative_bias({"relative_position_bias_table": self.relative_position_bias_table}, self.grid)
        if bias is not None:
            logits = logits + bias
        return self.proj((logits.softmax(dim=-1).to(v.dtype) @ v).transpose(1, 2).flatten(2))  # [B, N, D]


class Block(nn.Module):
    """x + gamma_1 * Attention(LN(x)), then x + gamma_2 * FFN(LN(x)); no gammas where `init_values` is 0 or None."""

    def __init__(self, dim: int, attention: Attention, ffn: nn.Module, init_values: float | None) -> None:
        super().__init__()
        self.gamma_1 = nn.Parameter(torch.full((dim,), init_values)) if init_values else 1.0
        self.gamma_2 = nn.Parameter(torch.full((dim,), init_values)) if init_values else 1.0
        self.norm1, self.attn, self.norm2, self.mlp = LayerNorm(dim), attention, LayerNorm(dim), ffn

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        x = x + self.gamma_1 * self.attn(self.norm1(x), bias)
        return x + self.gamma_2 * self.mlp(self.norm2(x))


class Trunk(nn.Module):
    """The three stages as one flat list of blocks, the two merges among them."""

    def __init__(
        self,
        *,
        embed_dim: int,
        depths: tuple[int, int, int],
        num_heads: int,
        img_size: int | tuple[int, int],
        init_values: float | None = 0.1,
        qkv_bias: bool = True,
        sub_norm: bool = True,
        swiglu: bool = True,
        class_token: bool = False,
        relative_position: Literal["own", "shared", "shared_decoupled"] | None = None,
        stop_grad: bool = False,
    ) -> None:
        super().__init__()
        low, mid, dim = embed_dim // 4, embed_dim // 2, embed_dim
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        grid = (height // 16, width // 16)
        self.depths, self.grid = depths, grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if class_token else None
        self.pos_embed = nn.Parameter(torch.zeros(1, grid[0] * grid[1] + class_token, dim))
        self.patch_embed = PatchEmbed(low, stop_grad)
        self.rel_pos_bias = nn.ParameterDict()
        if relative_position == "shared":
            num_rows = (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3
            self.rel_pos_bias["relative_position_bias_table"] = torch.zeros(num_rows, num_heads)
        elif relative_position == "shared_decoupled":
            self.rel_pos_bias["relative_position_bias_for_high"] = torch.zeros(2 * grid[0] + 2, num_heads)
            self.rel_pos_bias["relative_position_bias_for_width"] = torch.zeros(2 * grid[1] + 2, num_heads)
        self.blocks = nn.ModuleList(ConvBlock(low, 3 * low, sub_norm) for _ in range(depths[0]))
        self.blocks.append(resample(low, mid, nn.Conv2d))
        self.blocks.extend(ConvBlock(mid, 3 * mid, sub_norm) for _ in range(depths[1]))
        self.blocks.append(resample(mid, dim, nn.Conv2d))
        for _ in range(depths[2]):
            attention = Attention(dim, num_heads, qkv_bias, sub_norm, grid if relative_position == "own" else None)
            ffn = SwiGLU(dim, 3 * dim, sub_norm) if swiglu else mlp(dim, 3 * dim, sub_norm, maps=False)
            self.blocks.append(Block(dim, attention, ffn, init_values))

    def stages(self, images: Tensor, mask_token: Tensor | None = None, masked: Tensor | None = None) -> list[Tensor]:
        """The outputs of the stages: maps [B, D/4, H/4, W/4] and [B, D/2, H/8, W/8], tokens [B, N, D]."""
        blocks, merge1, merge2 = list(self.blocks), self.depths[0], self.depths[0] + 1 + self.depths[1]
        map4 = self.patch_embed(images, mask_token, masked)
        for block in blocks[:merge1]:
            map4 = block(map4)
        map8 = blocks[merge1](map4)
        for block in blocks[merge1 + 1 : merge2]:
            map8 = block(map8)
        tokens = blocks[merge2](map8).flatten(2).transpose(1, 2)  # [B, N, D]
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = tokens + self.pos_embed
        bias = relative_bias(self.rel_pos_bias, self.grid) if self.rel_pos_bias else None
        for block in blocks[merge2 + 1 :]:
            tokens = block(tokens, bias)
        return [map4, map8, tokens]


class ReferenceClassifier(Trunk):
    """Logits [B, num_classes]. With `mean_pooling`: mean of the patch tokens, LN; without: LN, mean of all tokens."""

    def __init__(self, *, num_classes: int = 1000, mean_pooling: bool = True, **trunk: Any) -> None:
        super().__init__(**trunk)
        self.norm = nn.Identity() if mean_pooling else LayerNorm(trunk["embed_dim"])
        self.fc_norm = LayerNorm(trunk["embed_dim"]) if mean_pooling else None
        self.head = nn.Linear(trunk["embed_dim"], num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        tokens = self.norm(self.stages(images)[-1])
        if self.fc_norm is None:
            return tokens.mean(dim=1)
        return self.fc_norm(tokens[:, 0 if self.cls_token is None else 1 :].mean(dim=1))  # [B, D]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.forward_features(images))


class ReferencePretraining(Trunk):
    """Predictions [B, N, teacher_dim] of all tokens; `masked` [B, N] is True where hidden.

    `norm` acts on the merged tokens ("end") or also on the tokens of stage 3, before the pyramid ("trunk_and_end").
    """

    def __init__(
        self, *, fpn_dim: int = 256, fpn_hidden: int = 682, teacher_dim: int = 768, norm: str = "end", **trunk: Any
    ) -> None:
        super().__init__(**{"stop_grad": True, **trunk})
        dim, out = trunk["embed_dim"], fpn_dim
        self.trunk_norm = {"end": False, "trunk_and_end": True}[norm]
        self.mask_token = nn.Parameter(torch.zeros(1, 1, 4 * dim))
        self.align_dim_16tofpn = nn.Conv2d(dim, out, 1) if dim != out else nn.Identity()
        self.align_dim_16to8, self.align_dim_8to4 = nn.Conv2d(dim // 2, out, 1), nn.Conv2d(dim // 4, out, 1)
        self.split_16to8, self.split_8to4 = (resample(c, out, nn.ConvTranspose2d) for c in (dim, out))
        self.block_16to8, self.block_8to4 = (nn.Sequential(ConvBlock(out, fpn_hidden)) for _ in range(2))
        self.fpn_modules = nn.ModuleList(ConvBlock(out, fpn_hidden) for _ in range(3))
        self.decoder_embed = nn.ModuleList(
            nn.Sequential(ChannelNorm(out), nn.Conv2d(out, dim, k, stride=k)) for k in (1, 2, 4)
        )
        self.norm, self.lm_head = LayerNorm(dim), nn.Linear(dim, teacher_dim)

    def pyramid(self, images: Tensor, masked: Tensor | None = None) -> list[Tensor]:
        """The levels at 1/16, 1/8 and 1/4, each [B, fpn_dim, h, w]."""
        map4, map8, tokens = self.stages(images, self.mask_token, masked)
        tokens = self.norm(tokens) if self.trunk_norm else tokens
        map16 = tokens.transpose(1, 2).unflatten(2, [s // 2 for s in map8.shape[2:]])  # [B, D, H/16, W/16]
        x8 = self.block_16to8(self.split_16to8(map16) + self.align_dim_16to8(map8))
        x4 = self.block_8to4(self.split_8to4(x8) + self.align_dim_8to4(map4))
        maps = (self.align_dim_16tofpn(map16), x8, x4)
        return [block(x) for block, x in zip(self.fpn_modules, maps, strict=True)]

    def forward(self, images: Tensor, masked: Tensor | None = None) -> Tensor:
        x16, x8, x4 = (embed(x) for embed, x in zip(self.decoder_embed, self.pyramid(images, masked), strict=True))
        merged = x16 + x8 + x4  # [B, D, H/16, W/16]
        return self.lm_head(self.norm(merged.flatten(2).transpose(1, 2)))
