"""The deformable encoder: cells of several feature maps see one another."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fastitpn.tasks.detr.attention import deformable_attention
from fastitpn.tasks.detr.levels import Levels


class EncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward network, each normalised after its sum.

    Args:
        width: Channels.
        heads: Attention heads.
        hidden: Width of the feed-forward network.
        levels: Feature maps.
        points: Places on each map that a head looks at.
    """

    def __init__(self, width: int, *, heads: int, hidden: int, levels: int, points: int = 4):
        super().__init__()
        self.self_attn = deformable_attention(width, heads=heads, levels=levels, points=points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, positions: Tensor, levels: Levels) -> Tensor:
        """Tokens [B, N, width] to the same; positions are added where the layer decides at what to look."""
        seen, _ = self.self_attn(
            x + positions,
            attention_mask=~levels.padded,
            encoder_hidden_states=x,
            reference_points=levels.references,
            **levels.for_attention,
        )
        x = self.norm1(x + seen)
        return self.norm2(x + self.linear2(F.relu(self.linear1(x))))


class Encoder(nn.Module):
    """Layers of the encoder.

    Args:
        layers: How many layers there are.
        width: Channels.
        **sizes: See `EncoderLayer`.
    """

    def __init__(self, layers: int, width: int, **sizes: Any):
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, **sizes) for _ in range(layers))
        xavier(self)
        self._checkpointing = False

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the layers in the backward pass; those of the decoder hold far fewer tokens."""
        self._checkpointing = enable

    def forward(self, x: Tensor, positions: Tensor, levels: Levels) -> Tensor:
        """Tokens [B, N, width] with their positions to the memory that a decoder looks at."""
        for layer in self.layers:
            if self._checkpointing and self.training:
                x = checkpoint(layer, x, positions, levels, use_reentrant=False)
            else:
                x = layer(x, positions, levels)
        return x


def xavier(module: nn.Module) -> None:
    """Xavier uniform for the feed-forward networks and the attention of queries; deformable attention has its own."""
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1 and not any(part in name for part in ("sampling_offsets", "attention_weights")):
            nn.init.xavier_uniform_(parameter)
