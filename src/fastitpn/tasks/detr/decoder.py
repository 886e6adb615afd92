"""The decoder: queries look at the cells and refine their boxes, layer by layer."""

from itertools import pairwise
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.tasks.detr.attention import deformable_attention
from fastitpn.tasks.detr.encoder import xavier
from fastitpn.tasks.detr.levels import Levels
from fastitpn.tasks.detr.position import inverse_sigmoid, sine_of_boxes


class MLP(nn.Module):
    """Linear layers with ReLU in between.

    Args:
        widths: Channels in, inside and out.
    """

    def __init__(self, *widths: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """[..., first width] to [..., last width]."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        last: Tensor = self.layers[-1](x)
        return last


def box_head(width: int) -> MLP:
    """From features to the change of a box's logits, which starts at none."""
    head = MLP(width, width, width, 4)
    for parameter in head.layers[-1].parameters():
        nn.init.zeros_(parameter)
    return head


class DecoderLayer(nn.Module):
    """Attention of queries among themselves, deformable attention to the cells, a feed-forward network.

    Args:
        width: Channels.
        heads: Attention heads.
        hidden: Width of the feed-forward network.
        levels: Feature maps.
        points: Places on each map that a head looks at.
    """

    def __init__(self, width: int, *, heads: int, hidden: int, levels: int, points: int = 4):
        super().__init__()
        self.cross_attn = deformable_attention(width, heads=heads, levels=levels, points=points)
        self.norm1 = nn.LayerNorm(width)
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm3 = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, positions: Tensor, references: Tensor, memory: Tensor, levels: Levels, mask: Tensor | None
    ) -> Tensor:
        """Queries [B, Q, width] to the same.

        Args:
            x: Contents of the queries.
            positions: [B, Q, width], added where attention decides at what to look.
            references: Boxes [B, Q, levels, 4] as shares of each map.
            memory: [B, N, width].
            levels: Where the cells of the memory are.
            mask: bool [Q, Q], True where a query (row) may not look at another (column).
        """
        asking = x + positions
        x = self.norm2(x + self.self_attn(asking, asking, x, attn_mask=mask, need_weights=False)[0])
        seen, _ = self.cross_attn(
            x + positions,
            attention_mask=~levels.padded,
            encoder_hidden_states=memory,
            reference_points=references,
            **levels.for_attention,
        )
        x = self.norm1(x + seen)
        return self.norm3(x + self.linear2(F.relu(self.linear1(x))))


class Decoded(NamedTuple):
    """What the decoder gives."""

    states: list[Tensor]
    """[B, Q, width] of each layer, without the norm that its predictions begin with."""
    references: list[Tensor]
    """float32 boxes [B, Q, 4] in [0, 1]: those of the start, then those after each layer, not detached."""

    def last(self) -> "Decoded":
        """The last layer alone."""
        return Decoded(self.states[-1:], self.references[-2:])


class Decoder(nn.Module):
    """Layers of the decoder with one box head for all of them, which look forward twice.

    Args:
        layers: How many layers there are.
        width: Channels.
        eps: See `inverse_sigmoid`.
        **sizes: See `DecoderLayer`.
    """

    def __init__(self, layers: int, width: int, *, eps: float, **sizes: Any):
        super().__init__()
        self.width, self.eps = width, eps
        self.layers = nn.ModuleList(DecoderLayer(width, **sizes) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.ref_point_head = MLP(2 * width, width, width)
        self.bbox_embed = box_head(width)
        xavier(self.layers)
        xavier(self.ref_point_head)

    def forward(
        self, contents: Tensor, start: Tensor, memory: Tensor, levels: Levels, mask: Tensor | None = None
    ) -> Decoded:
        """Refine queries.

        Args:
            contents: [B, Q, width].
            start: Logits of boxes [B, Q, 4].
            memory: [B, N, width].
            levels: Where the cells of the memory are.
            mask: bool [Q, Q], True where a query (row) may not look at another (column).
        """
        ratios = levels.ratios.repeat(1, 1, 2)  # [B, levels, 4]
        states, references = [], [start.float().sigmoid()]
        reference = references[0]  # which learns, if it is learnt
        for layer in self.layers:
            places = reference[:, :, None] * ratios[:, None]
            positions = self.ref_point_head(sine_of_boxes(places[:, :, 0], self.width // 2))
            contents = layer(contents, positions, places, memory, levels, mask)
            change = self.bbox_embed(contents).float()
            states.append(contents)
            references.append((change + inverse_sigmoid(reference, self.eps)).sigmoid())
            reference = references[-1].detach()
        return Decoded(states, references)

    def boxes(self, decoded: Decoded) -> list[Tensor]:
        """float32 [B, Q, 4] of each layer: learnt by this layer and, through its reference, by the one before."""
        return [
            (self.bbox_embed(self.norm(state)).float() + inverse_sigmoid(before, self.eps)).sigmoid()
            for state, before in zip(decoded.states, decoded.references[:-1], strict=True)
        ]
