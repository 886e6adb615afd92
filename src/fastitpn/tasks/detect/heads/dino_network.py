"""What DINO has on the pyramid: encoder, first guesses, decoder, losses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DeformableDetrConfig, RTDetrV2Config
from transformers.loss.loss_rt_detr import RTDetrLoss
from transformers.models.deformable_detr.modeling_deformable_detr import (
    DeformableDetrEncoder,
    DeformableDetrMultiscaleDeformableAttention,
)
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import (
    RTDetrV2DecoderLayer,
    RTDetrV2MLPPredictionHead,
    RTDetrV2MultiscaleDeformableAttention,
    RTDetrV2PreTrainedModel,
    get_contrastive_denoising_training_group,
    inverse_sigmoid,
)

from fastitpn.tasks.detect.heads.base import Size
from fastitpn.tasks.detect.heads.dino_levels import Levels, as_numbers, flatten_levels, sine_positions

_HEAD_DIM = 32
_POINTS = 4
_FIRST_SIDE = 0.05
"""Side of the boxes that the first guesses of the finest level begin with, as a share of the image; then it doubles."""
_FIRST_PROBABILITY = 0.01

Normalised = list[dict[str, Tensor]]
"""Targets: `class_labels`, and `boxes` as centre, width and height in shares of the image."""


@dataclass(frozen=True, kw_only=True)
class DINOSettings:
    """Sizes; see `DINO`."""

    width: int
    hidden: int
    strides: tuple[int, ...]
    queries: int
    denoising: int
    encoder_layers: int
    decoder_layers: int

    @property
    def heads(self) -> int:
        """Attention heads."""
        return max(1, self.width // _HEAD_DIM)

    def encoder_config(self) -> DeformableDetrConfig:
        """In transformers' words."""
        settings: dict[str, Any] = {"dropout": 0.0, "activation_dropout": 0.0, "attention_dropout": 0.0}
        return DeformableDetrConfig(
            d_model=self.width,
            encoder_layers=self.encoder_layers,
            encoder_ffn_dim=self.hidden,
            encoder_attention_heads=self.heads,
            encoder_n_points=_POINTS,
            num_feature_levels=len(self.strides),
            **settings,
        )

    def decoder_config(self, num_classes: int) -> RTDetrV2Config:
        """In transformers' words."""
        settings: dict[str, Any] = {"num_labels": num_classes, "attn_implementation": "sdpa"}
        return RTDetrV2Config(
            d_model=self.width,
            decoder_layers=self.decoder_layers,
            decoder_ffn_dim=self.hidden,
            decoder_attention_heads=self.heads,
            decoder_n_points=_POINTS,
            decoder_n_levels=len(self.strides),
            num_feature_levels=len(self.strides),
            num_queries=self.queries,
            num_denoising=self.denoising,
            **settings,
        )


class DINONetwork(RTDetrV2PreTrainedModel):
    """From levels of the pyramid to boxes and their classes.

    transformers' own model is not used, but for its layers: it builds a backbone and an encoder of its own, knows no
    padding, looks forward once, and cannot learn the contents of its queries.

    Args:
        num_classes: Number of classes.
        settings: Widths, and numbers of layers and queries.
    """

    def __init__(self, num_classes: int, settings: DINOSettings) -> None:
        config = settings.decoder_config(num_classes)
        super().__init__(config)
        width = settings.width
        self.settings = settings
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in settings.strides)
        self.level_embed = nn.Parameter(torch.randn(len(settings.strides), width))
        self.encoder = _Encoder(settings.encoder_config())
        self.first_projection = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.first_class_head = nn.Linear(width, num_classes)
        self.first_box_head = _box_head(width)
        self.contents = nn.Embedding(settings.queries, width)
        self.label_embed = nn.Embedding(num_classes + 1, width, padding_idx=num_classes)
        self.query_positions = RTDetrV2MLPPredictionHead(4, 2 * width, width, num_layers=2)
        layers = range(settings.decoder_layers)
        self.decoder_layers = nn.ModuleList(RTDetrV2DecoderLayer(config) for _ in layers)
        self.class_heads = nn.ModuleList(nn.Linear(width, num_classes) for _ in layers)
        self.box_heads = nn.ModuleList(_box_head(width) for _ in layers)
        self.criterion = RTDetrLoss(config)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Start values as published for Deformable DETR and DINO; transformers' are a hundredth wide everywhere."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, RTDetrV2MultiscaleDeformableAttention):
                self._init_weights(module)
            elif isinstance(module, DeformableDetrMultiscaleDeformableAttention):
                self.encoder._init_weights(module)
        for head in (self.first_class_head, *self.class_heads):
            nn.init.constant_(head.bias, -math.log(1 / _FIRST_PROBABILITY - 1))
        for head in (self.first_box_head, *self.box_heads):
            nn.init.zeros_(head.layers[-1].weight)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the layers of the encoder in the backward pass; those of the decoder hold far fewer tokens."""
        switch = "enable" if enable else "disable"
        for name in ("activation", "gradient"):  # the new and the old name in transformers, which warns of the old one
            method = getattr(self.encoder, f"{name}_checkpointing_{switch}", None)
            if method is not None:
                return method(*([{"use_reentrant": False}] if enable else []))

    def forward(self, maps: Sequence[Tensor], sizes: Sequence[Size] | Tensor) -> tuple[Tensor, Tensor]:
        """The outputs of the last layer.

        Args:
            maps: [B, C, h, w] of each level.
            sizes: Height and width of each image, which are in the upper left corners.

        Returns:
            float32 logits [B, queries, classes], and boxes [B, queries, 4]: centre, width and height in shares of the
            image. There are fewer queries where the levels have fewer cells.
        """
        memory, levels = self._encode(maps, sizes)
        references, _, _ = self._first_guesses(memory, levels)
        contents = self._contents(references)
        logits, boxes = self._decode(memory, levels, contents, references, None)
        return logits[-1].float(), boxes[-1].float()

    def losses(self, maps: Sequence[Tensor], sizes: Sequence[Size], targets: Normalised) -> dict[str, Tensor]:
        """Weighted, summed over the layers; not finite where a box is not, so that the guard of the engine sees it."""
        memory, levels = self._encode(maps, sizes)
        references, first_logits, first_boxes = self._first_guesses(memory, levels)
        contents, mask = self._contents(references), None
        noisy_contents, noisy_references, between, denoising = get_contrastive_denoising_training_group(
            targets,
            self.config.num_labels,
            references.shape[1],
            self.label_embed,
            num_denoising_queries=self.settings.denoising,
        )
        if denoising is not None:
            contents = torch.cat((noisy_contents, contents), 1)
            references = torch.cat((noisy_references, references), 1)
            mask = (between == 0)[None, None]  # True: looks at. As bool, which any precision takes.
        logits, boxes = self._decode(memory, levels, contents, references, mask)
        with torch.autocast(memory.device.type, enabled=False):
            outputs = _outputs([part.float() for part in logits], [part.float() for part in boxes], denoising)
            outputs["auxiliary_outputs"].append({"logits": first_logits.float(), "pred_boxes": first_boxes.float()})
            if not torch.isfinite(boxes[-1]).all():
                # The matching would raise an error. Other processes, whose boxes are finite, have the same losses and
                # a gradient for every parameter, and so must this one.
                everything = (*logits, *boxes, first_logits, first_boxes, self.label_embed.weight)
                broken = math.nan * torch.stack([part.float().sum() for part in everything]).sum()
                names = ("loss_class", "loss_box", "loss_giou", "loss_denoising")[: 3 + (self.settings.denoising > 0)]
                return dict.fromkeys(names, broken)
            terms = self.criterion(outputs, targets)
        parts = {
            name: torch.stack([loss for key, loss in terms.items() if key.startswith(kind) and "_dn_" not in key]).sum()
            for name, kind in (("loss_class", "loss_vfl"), ("loss_box", "loss_bbox"), ("loss_giou", "loss_giou"))
        }
        if self.settings.denoising > 0:
            unused = 0 * self.label_embed.weight.sum()  # without objects in a batch; each parameter needs a gradient
            parts["loss_denoising"] = sum((loss for key, loss in terms.items() if "_dn_" in key), unused)
        return parts

    def _encode(self, maps: Sequence[Tensor], sizes: Sequence[Size] | Tensor) -> tuple[Tensor, Levels]:
        """[B, N, C], all cells of all levels, having seen one another; zeros where there is no image."""
        levels = Levels.of(maps, self.settings.strides, sizes)
        tokens = [norm(level) for norm, level in zip(self.norms, flatten_levels(maps), strict=True)]
        pairs = zip(self.level_embed, tokens, strict=True)
        level_embed = torch.cat([embed.expand(level.shape[1], -1) for embed, level in pairs])
        memory = self.encoder(
            inputs_embeds=torch.cat(tokens, 1),
            attention_mask=levels.inside,
            spatial_position_embeddings=sine_positions(levels.centres, self.settings.width) + level_embed,
            **levels.for_attention,
            valid_ratios=levels.ratios,
        ).last_hidden_state
        return memory.masked_fill(~levels.inside[..., None], 0.0), levels

    def _first_guesses(self, memory: Tensor, levels: Levels) -> tuple[Tensor, Tensor, Tensor]:
        """The best cells as queries: references [B, Q, 4] (logits of boxes), and for the losses logits and boxes."""
        features = self.first_projection(memory)
        logits = self.first_class_head(features)
        parts = enumerate(levels.split(levels.centres))
        sides = torch.cat([torch.full_like(centres, _FIRST_SIDE * 2**number) for number, centres in parts], 1)
        anchors = torch.cat((levels.centres, sides), -1).clamp(0.001, 0.999)
        boxes = self.first_box_head(features).float() + anchors.logit()
        ranked = logits.float().amax(-1).masked_fill(~levels.inside, -math.inf)
        best = ranked.topk(min(self.settings.queries, ranked.shape[1]), 1).indices[..., None]
        references = boxes.gather(1, best.expand(-1, -1, 4))
        return references.detach(), logits.gather(1, best.expand(-1, -1, logits.shape[-1])), references.sigmoid()

    def _contents(self, references: Tensor) -> Tensor:
        """Mixed query selection: the places are those of the guesses, the contents are learnt."""
        batch, count = references.shape[:2]
        return self.contents.weight[:count].expand(batch, -1, -1)

    def _decode(
        self, memory: Tensor, levels: Levels, contents: Tensor, references: Tensor, mask: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Logits [B, Q, classes] and boxes [B, Q, 4] of each layer; in evaluation mode logits of the last alone.

        Look forward twice: a box is learnt by its own layer and, through `before`, by the next one too.
        """
        all_logits, all_boxes = [], []
        before = reference = references.sigmoid()
        scales = levels.ratios.repeat_interleave(_POINTS, 1).repeat(1, 1, 2)  # [B, levels * points, 4]
        for number, layer in enumerate(self.decoder_layers):
            contents = layer(
                contents,
                object_queries_position_embeddings=self.query_positions(reference),
                reference_points=reference[:, :, None] * scales[:, None],
                encoder_hidden_states=memory,
                encoder_attention_mask=mask,  # which is that of the queries among themselves
                **levels.for_attention,
            )
            change = self.box_heads[number](contents).float()
            all_boxes.append(F.sigmoid(change + inverse_sigmoid(before)))
            before = F.sigmoid(change + inverse_sigmoid(reference))
            reference = before.detach()
            if self.training or number == len(self.decoder_layers) - 1:
                all_logits.append(self.class_heads[number](contents))
        return all_logits, all_boxes


class _Encoder(DeformableDetrEncoder):
    """The encoder of transformers, but a graph that is traced through it may leave the maps' sizes open."""

    @staticmethod
    def get_reference_points(spatial_shapes_list: list[Size], valid_ratios: Tensor, device: torch.device) -> Tensor:
        """Where cells are on each level, [B, N, levels, 2], as shares of the map."""
        points = []
        for (height, width), ratio in zip(spatial_shapes_list, valid_ratios.unbind(1), strict=True):
            rows, columns = (torch.arange(side, device=device) + 0.5 for side in (height, width))
            corners = torch.cartesian_prod(rows, columns).flip(-1)  # [h * w, 2], x and y
            points.append(corners / (ratio * as_numbers((width, height), device))[:, None])
        return torch.cat(points, 1)[:, :, None] * valid_ratios[:, None]


def _box_head(width: int) -> nn.Module:
    return RTDetrV2MLPPredictionHead(width, width, 4, num_layers=3)


def _outputs(logits: list[Tensor], boxes: list[Tensor], denoising: dict[str, Any] | None) -> dict[str, Any]:
    """What the criterion takes: layers one by one, and the denoising queries, which are the first, by themselves."""
    first = 0 if denoising is None else denoising["dn_num_split"][0]
    layers = [
        {"logits": own_logits[:, first:], "pred_boxes": own_boxes[:, first:]}
        for own_logits, own_boxes in zip(logits, boxes, strict=True)
    ]
    outputs: dict[str, Any] = {**layers[-1], "auxiliary_outputs": layers[:-1]}
    if denoising is not None:
        outputs["denoising_meta_values"] = denoising
        outputs["dn_auxiliary_outputs"] = [
            {"logits": own_logits[:, :first], "pred_boxes": own_boxes[:, :first]}
            for own_logits, own_boxes in zip(logits, boxes, strict=True)
        ]
    return outputs
