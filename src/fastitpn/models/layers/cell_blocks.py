"""What has no attention: the patch embedding, blocks that treat each cell by itself, and steps between strides."""

import torch
from timm.layers import DropPath
from torch import Tensor, fx, nn

from fastitpn.models.layers.activation_checkpointing import in_parts
from fastitpn.models.layers.feed_forward import GeluMlp
from fastitpn.models.layers.norm import Norm
from fastitpn.models.layers.onednn import Linear, linear

fx.wrap("linear")


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
