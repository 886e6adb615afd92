"""The DINO of versions before 0.2, of which there are checkpoints: it finds what it found, and learns no more."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DeformableDetrConfig, RTDetrV2Config
from transformers.models.deformable_detr.modeling_deformable_detr import DeformableDetrEncoder
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import RTDetrV2DecoderLayer

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.pyramid import STRIDES
from fastitpn.tasks.detect.heads.base import Detector, Size, Target
from fastitpn.tasks.detect.heads.dino_detector import DINO
from fastitpn.tasks.detr.decoder import MLP
from fastitpn.tasks.detr.levels import Levels, flatten
from fastitpn.tasks.detr.position import inverse_sigmoid

_HEAD_DIM, _POINTS, _LEVELS = 32, 4, 4
_FIRST_SIDE, _TEMPERATURE, _EPS = 0.05, 10000.0, 1e-5


class EarlierDINO(DINO):
    """As `DINO`, of other parts: a norm in place of a projection, heads of their own for each layer.

    Args:
        backbone: A `FastITPN` with a pyramid.
        num_classes: Number of classes.
        finest_stride: Stride of the finest of its four levels.
        queries: Objects that can be found in an image at most.
        denoising: Of no use any more.
        encoder_layers: Layers of the encoder.
        decoder_layers: Layers of the decoder.
        ffn_ratio: Hidden width of their feed-forward networks, as a multiple of the pyramid's.
        detections: Objects of an image at most.
    """

    class_layers: tuple[str, ...] = ()

    def __init__(
        self,
        backbone: FastITPN,
        num_classes: int,
        *,
        finest_stride: int = 8,
        queries: int = 900,
        denoising: int = 100,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        ffn_ratio: float = 8,
        detections: int = 100,
    ):
        Detector.__init__(self, backbone)
        assert backbone.pyramid is not None
        first = STRIDES.index(finest_stride)
        backbone.pyramid.prune(list(range(first, len(STRIDES))))
        self.detections, self.queries, self._maps = detections, queries, _LEVELS
        self.network: Any = _Network(
            num_classes,
            backbone.pyramid.dim,
            hidden=round(backbone.pyramid.dim * ffn_ratio),
            strides=STRIDES[first : first + _LEVELS],
            queries=queries,
            layers=(encoder_layers, decoder_layers),
        )

    def canvas_losses(self, canvas: Tensor, sizes: list[Size], targets: Sequence[Target]) -> dict[str, Tensor]:
        """There are none.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "this DINO was begun by an earlier version, whose DINO was another: it can be evaluated, but not trained",
            where="detector=dino",
            expected="a run that this version began",
            fix="another out=, with weights= of this run for its trunk and pyramid",
        )


@dataclass(frozen=True, kw_only=True)
class _Levels(Levels):
    """Levels that measure an image in pixels, and not in cells.

    Attributes:
        strides: Pixels of a cell's side, for each level.
        sides: [B, 2], width and height of the images in pixels.
    """

    strides: tuple[int, ...]
    sides: Tensor

    @cached_property
    def ratios(self) -> Tensor:
        """Width and height of the images as shares of each map: [B, levels, 2]."""
        strides = torch.tensor(self.strides, device=self.sides.device)[:, None]
        return self.sides[:, None] / (strides * self._spatial_shapes.flip(-1))

    @property
    def centres(self) -> list[Tensor]:
        """[B, h * w, 2] of each level, as shares of the images; above 1 in the padding."""
        return [
            centre * stride / self.sides[:, None]
            for centre, stride in zip(self.cell_centres, self.strides, strict=True)
        ]


class _Network(nn.Module):
    """From levels of the pyramid to boxes and their classes, under the names that those checkpoints have."""

    def __init__(
        self,
        num_classes: int,
        width: int,
        *,
        hidden: int,
        strides: tuple[int, ...],
        queries: int,
        layers: tuple[int, int],
    ):
        super().__init__()
        heads = max(1, width // _HEAD_DIM)
        encoder: dict[str, Any] = {"encoder_layers": layers[0], "encoder_ffn_dim": hidden, "dropout": 0.0}
        encoder |= {"encoder_attention_heads": heads, "encoder_n_points": _POINTS, "num_feature_levels": len(strides)}
        encoder |= {"activation_dropout": 0.0, "attention_dropout": 0.0, "d_model": width}
        decoder: dict[str, Any] = {"decoder_ffn_dim": hidden, "decoder_attention_heads": heads, "d_model": width}
        decoder |= {
            "attn_implementation": "sdpa",
            "decoder_n_points": _POINTS,
            "decoder_n_levels": len(strides),
            "num_feature_levels": len(strides),
        }
        config = RTDetrV2Config(**decoder)
        self.strides, self.queries, self.width = strides, queries, width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in strides)
        self.level_embed = nn.Parameter(torch.randn(len(strides), width))
        self.encoder = _Encoder(DeformableDetrConfig(**encoder))
        self.first_projection = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.first_class_head = nn.Linear(width, num_classes)
        self.first_box_head = MLP(width, width, width, 4)
        self.contents = nn.Embedding(queries, width)
        self.label_embed = nn.Embedding(num_classes + 1, width)
        self.query_positions = MLP(4, 2 * width, width)
        self.decoder_layers = nn.ModuleList(RTDetrV2DecoderLayer(config) for _ in range(layers[1]))
        self.class_heads = nn.ModuleList(nn.Linear(width, num_classes) for _ in range(layers[1]))
        self.box_heads = nn.ModuleList(MLP(width, width, width, 4) for _ in range(layers[1]))
        self.criterion = nn.Module()
        self.criterion.register_buffer("empty_weight", torch.ones(num_classes + 1))

    def forward(self, maps: Sequence[Tensor], padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits and boxes of the last layer, in the form in which `DINONetwork` gives them."""
        levels = self._levels(maps, padding)
        memory = self._encode(maps, levels)
        reference = self._first_references(memory, levels).sigmoid()
        batch, count = reference.shape[:2]
        contents = self.contents.weight[:count].expand(batch, -1, -1)
        scales = levels.ratios.repeat_interleave(_POINTS, 1).repeat(1, 1, 2)  # [B, levels * points, 4]
        for layer, head in zip(self.decoder_layers, self.box_heads, strict=True):
            contents = layer(
                contents,
                object_queries_position_embeddings=self.query_positions(reference),
                reference_points=reference[:, :, None] * scales[:, None],
                encoder_hidden_states=memory,
                encoder_attention_mask=None,  # which is that of the queries among themselves
                **levels.for_attention,
            )
            reference = F.sigmoid(head(contents).float() + inverse_sigmoid(reference, _EPS))
        return self.class_heads[-1](contents).float(), reference

    def _levels(self, maps: Sequence[Tensor], padding: Tensor | None) -> _Levels:
        if padding is None:
            whole = Levels.whole(maps)
            sides = whole.counts[:, 0] * self.strides[0]
            return _Levels(padding=whole.padding, strides=self.strides, sides=sides)
        sides = torch.stack([(~padding[:, 0]).sum(1), (~padding[:, :, 0]).sum(1)], -1).float()
        masks = [padding[:, ::stride, ::stride] for stride in self.strides]
        return _Levels(padding=masks, strides=self.strides, sides=sides)

    def _encode(self, maps: Sequence[Tensor], levels: _Levels) -> Tensor:
        """All cells of all levels, [B, N, C], having seen one another; zeros where there is no image."""
        places = enumerate(zip(self.norms, maps, strict=True))
        tokens = [(number, norm(flatten([level]))) for number, (norm, level) in places]
        embed = [self.level_embed[number].expand(level.shape[1], -1) for number, level in tokens]
        memory: Tensor = self.encoder(
            inputs_embeds=torch.cat([level for _, level in tokens], 1),
            attention_mask=~levels.padded,
            spatial_position_embeddings=_sines(torch.cat(levels.centres, 1), self.width) + torch.cat(embed),
            valid_ratios=levels.ratios,
            **levels.for_attention,
        ).last_hidden_state
        return memory.masked_fill(levels.padded[..., None], 0.0)

    def _first_references(self, memory: Tensor, levels: _Levels) -> Tensor:
        """Logits of boxes [B, Q, 4] of the best cells."""
        features = self.first_projection(memory)
        sides = [torch.full_like(centres, _FIRST_SIDE * 2**number) for number, centres in enumerate(levels.centres)]
        anchors = torch.cat((torch.cat(levels.centres, 1), torch.cat(sides, 1)), -1).clamp(0.001, 0.999)
        boxes = self.first_box_head(features).float() + anchors.logit()
        ranked = self.first_class_head(features).float().amax(-1).masked_fill(levels.padded, -math.inf)
        best = ranked.topk(min(self.queries, ranked.shape[1]), 1).indices[..., None]
        return boxes.gather(1, best.expand(-1, -1, 4))


class _Encoder(DeformableDetrEncoder):
    """The encoder of transformers, but a graph that is traced through it may leave the maps' sizes open."""

    @staticmethod
    def get_reference_points(spatial_shapes_list: list[Size], valid_ratios: Tensor, device: torch.device) -> Tensor:
        """Where cells are on each level, [B, N, levels, 2], as shares of the map."""
        batch = valid_ratios.shape[0]  # `len` would make it a constant of a graph that is traced
        shapes = [torch.zeros(batch, *shape, dtype=torch.bool, device=device) for shape in spatial_shapes_list]
        whole = Levels(padding=shapes)
        points = [
            centres / (ratio * counts)[:, None]
            for centres, ratio, counts in zip(
                whole.cell_centres, valid_ratios.unbind(1), whole.counts.unbind(1), strict=True
            )
        ]
        return torch.cat(points, 1)[:, :, None] * valid_ratios[:, None]


def _sines(centres: Tensor, width: int) -> Tensor:
    """Sines and then cosines of places [..., 2] at falling frequencies: [..., width]."""
    quarter = width // 4
    frequencies = _TEMPERATURE ** (-torch.arange(quarter, device=centres.device) / quarter)
    angles = 2 * math.pi * centres[..., None] * frequencies  # [..., 2, width / 4]
    return torch.cat((angles.sin(), angles.cos()), -1).flatten(-2)
