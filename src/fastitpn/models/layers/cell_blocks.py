"""What has no attention: the patch embedding, blocks that treat each cell by itself, and steps between strides."""

import torch
from timm.layers import DropPath
from torch import Tensor, fx, nn

from fastitpn.models.layers.activation_checkpointing import in_parts
from fastitpn.models.layers.feed_forward import GeluMlp
from fastitpn.models.layers.norm import Norm
from fastitpn.models.layers.onednn import Linear, add_linear, ends_fused, linear

fx.wrap("add_linear")
fx.wrap("linear")


class PatchEmbed(nn.Module):
    """4x4 pixel cells to vectors (the published Conv2d, kernel 4, stride 4), in hierarchical order; `norm` in iTPN."""

    def __init__(self, in_chans: int, dim: int, *, norm: bool = False, device=None, dtype=None):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, dim, kernel_size=4, stride=4, device=device, dtype=dtype)
        self.norm = Norm(dim, device=device, dtype=dtype) if norm else nn.Identity()

    def forward(self, patches: Tensor) -> Tensor:
        """Embed cells of pixels.

        Args:
            patches: [..., 16, in_chans * 16], from `cells.patchify`.

        Returns:
            [..., 16, dim].
        """
        return self.norm(linear(patches, self.proj.weight.flatten(1), self.proj.bias))


class CellBlock(nn.Module):
    """Attention-free block of stages 1-2 and of the pyramid: x + DropPath(gamma * MLP(LN(x))), cell by cell.

    Args:
        dim: Channels.
        hidden: Width of the MLP.
        sub_norm: LayerNorm on the hidden activations (published `ffn_ln`; trunk only, never in the pyramid).
        layer_scale: Whether there is a gamma (iTPN's stages 1-2).
        drop_path: Probability of leaving the branch out, per sample.
    """

    def __init__(
        self,
        dim: int,
        hidden: int,
        *,
        sub_norm: bool,
        layer_scale: bool = False,
        drop_path: float = 0.0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.norm = Norm(dim, device=device, dtype=dtype)
        self.mlp = GeluMlp(dim, hidden, Norm if sub_norm else None, device=device, dtype=dtype)
        self.gamma = nn.Parameter(torch.empty(dim, device=device, dtype=dtype)) if layer_scale else None
        self.drop_path = DropPath(drop_path) if drop_path > 0.0 else nn.Identity()

    def forward(self, x: Tensor, recomputed: bool = False) -> Tensor:
        """[..., dim] to [..., dim]; `recomputed` keeps no activations for the backward pass."""
        if recomputed and not torch.jit.is_scripting():
            return x + self.drop_path(in_parts(self._branch, [x]))  # DropPath is drawn for the whole batch
        if not torch.jit.is_scripting():
            fc2 = self.mlp.fc2
            if ends_fused(self.mlp, fc2):
                return add_linear(x, self.mlp.hidden(self.norm(x)), fc2.weight, fc2.bias, self.gamma)
        return x + self.drop_path(self._branch(x))

    def _branch(self, x: Tensor) -> Tensor:
        branch = self.mlp(self.norm(x))
        return branch if self.gamma is None else branch * self.gamma


class CellMerge(nn.Module):
    """2x2 cells to one of twice the channels: LN over channels, then a 2x2 convolution of stride 2 (as a Linear).

    Args:
        dim: Channels of a cell.
        joined: As in iTPN and HiViT: LN over the channels of the four cells together, and a Linear without bias.
    """

    def __init__(self, dim: int, *, joined: bool = False, device=None, dtype=None):
        super().__init__()
        self.joined = joined
        self.norm = Norm(4 * dim if joined else dim, device=device, dtype=dtype)
        self.reduction = Linear(4 * dim, 2 * dim, bias=not joined, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[..., 4K, dim] to [..., K, 2 * dim]."""
        if self.joined:
            return self.reduction(self.norm(x.unflatten(-2, (-1, 4)).flatten(-2)))
        return self.reduction(self.norm(x).unflatten(-2, (-1, 4)).flatten(-2))


class CellSplit(nn.Module):
    """One cell to 2x2 of the next finer level: LN over channels, then a 2x2 transposed convolution of stride 2.

    Without `bias` it is iTPN's: a Linear to the channels of four cells, which are laid out (row, column, channel).
    """

    def __init__(self, dim: int, out_dim: int, *, bias: bool = True, device=None, dtype=None):
        super().__init__()
        self.norm = Norm(dim, device=device, dtype=dtype)
        self.weight = nn.Parameter(torch.empty(4 * out_dim, dim, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_dim, device=device, dtype=dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[..., K, dim] to [..., 4K, out_dim]."""
        x = linear(self.norm(x), self.weight, None if self.bias is None else self.bias.repeat(4))
        return x.unflatten(-1, (4, -1)).flatten(-3, -2)
