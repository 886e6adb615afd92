"""DINO (Zhang et al., 2022) above the feature maps: encoder, first guesses, decoder, losses, all as published."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastitpn.tasks.detr.decoder import Decoder, box_head
from fastitpn.tasks.detr.denoising import Denoising, Draws, Noise, Targets, denoise, split
from fastitpn.tasks.detr.encoder import Encoder, xavier
from fastitpn.tasks.detr.levels import Levels, flatten
from fastitpn.tasks.detr.losses import average_count, box_losses, focal_loss, queries_to_count
from fastitpn.tasks.detr.matching import Pairs, box_cost, cheapest_pairs, class_cost
from fastitpn.tasks.detr.position import sine_positions
from fastitpn.tasks.detr.projection import Projection, PyramidInput
from fastitpn.tasks.detr.proposals import best_cells, cell_proposals, gather

EPS = 1e-3
"""How far from 0 and 1 boxes are kept before their logit is taken."""
_TEMPERATURE = 20.0
_FIRST_PROBABILITY = 0.01
_CLASS_COST = 2.0
WEIGHTS = {"ce": 1.0, "bbox": 5.0, "giou": 2.0}
"""Weights of the losses: class, differences of boxes, generalised IoU."""
_PARTS = {"ce": "loss_class", "bbox": "loss_box", "giou": "loss_giou"}
_DENOISING = "loss_denoising"


@dataclass(frozen=True, kw_only=True)
class DINOSettings:
    """Sizes, by default the published ones.

    Attributes:
        channels: Of each map that comes in.
        strides: Those of the pyramid's levels, where the maps are these; None for the published projection of the maps.
        width: Channels inside.
        heads: Attention heads.
        hidden: Width of the feed-forward networks.
        levels: Feature maps that are looked at.
        queries: Objects that can be found in an image at most.
        encoder_layers: Layers of the encoder.
        decoder_layers: Layers of the decoder.
        denoising: See `Noise.queries`.
        label_noise: See `Noise.label_ratio`.
        box_noise: See `Noise.box_scale`.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    width: int = 256
    heads: int = 8
    hidden: int = 2048
    levels: int = 4
    queries: int = 900
    encoder_layers: int = 6
    decoder_layers: int = 6
    denoising: int = 100
    label_noise: float = 0.5
    box_noise: float = 1.0


class Guesses(NamedTuple):
    """The best cells as a first guess."""

    logits: Tensor
    """[B, Q, classes]."""
    references: Tensor
    """Logits of boxes [B, Q, 4], not detached; infinite for removed cells."""


class Outputs(NamedTuple):
    """What the network predicts in training."""

    logits: list[Tensor]
    """[B, D + Q, classes] of each layer, the D denoising queries first."""
    boxes: list[Tensor]
    """float32 [B, D + Q, 4] of each layer: centre, width and height as shares of the image."""
    guesses: Guesses
    denoising: Denoising | None


class DINONetwork(nn.Module):
    """From feature maps to boxes and their classes. Its parameters have the published names.

    Args:
        num_classes: Number of classes.
        settings: Widths, and numbers of layers and queries.
    """

    def __init__(self, num_classes: int, settings: DINOSettings) -> None:
        super().__init__()
        self.settings, self.num_classes = settings, num_classes
        self.noise = Noise(
            queries=settings.denoising,
            contrastive=True,
            label_ratio=settings.label_noise,
            box_scale=settings.box_noise,
            eps=EPS,
        )
        channels, width = settings.channels, settings.width
        self.input_proj: Projection | PyramidInput = (
            Projection(channels, width, extra=settings.levels - len(channels))
            if settings.strides is None
            else PyramidInput(channels[0], width, settings.strides)
        )
        self.transformer = _Transformer(num_classes, settings)
        self.label_enc = nn.Embedding(num_classes + 1, settings.width)

    def forward(self, maps: Sequence[Tensor], padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The outputs of the last layer.

        Args:
            maps: [B, C, h, w], from fine to coarse.
            padding: bool [B, H, W], pixels that have nothing of their image; None if there are none.

        Returns:
            float32 logits [B, Q, classes], and boxes [B, Q, 4]: centre, width and height in shares of the image.
            There are fewer queries than asked for where the levels have fewer cells.
        """
        logits, boxes, _ = self.transformer(*self.levels(maps, padding))
        return logits[-1].float(), boxes[-1]

    def levels(self, maps: Sequence[Tensor], padding: Tensor | None) -> tuple[list[Tensor], Levels]:
        """The levels [B, width, h, w] that the transformer looks at, and where the images are on them."""
        projected = self.input_proj(maps)
        if padding is None:
            return projected, Levels.whole(projected)
        return projected, Levels(padding=self.input_proj.padding(padding, projected))

    def predict(
        self, maps: Sequence[Tensor], padding: Tensor | None, targets: Targets, draws: Draws | None = None
    ) -> Outputs:
        """The outputs of all layers, with denoising queries; the arguments are those of `losses`."""
        projected, levels = self.levels(maps, padding)
        queries = min(levels.padded.shape[1], self.settings.queries)
        denoising = denoise(targets, self.noise, self.label_enc, self.num_classes, queries, draws)
        logits, boxes, guesses = self.transformer(projected, levels, denoising)
        return Outputs(logits, boxes, guesses, denoising)

    def losses(
        self, maps: Sequence[Tensor], padding: Tensor | None, targets: Targets, draws: Draws | None = None
    ) -> dict[str, Tensor]:
        """Weighted losses, summed over the layers; not a number where a prediction is none.

        Args:
            maps: [B, C, h, w], from fine to coarse.
            padding: bool [B, H, W], pixels that have nothing of their image; None if there are none.
            targets: Objects of each image: labels [n], boxes [n, 4] (centre, width, height as shares of the image),
                and perhaps ignored regions [k, 4] (corners as shares).
            draws: Randomness of the denoising; None draws it.
        """
        outputs = self.predict(maps, padding, targets, draws)
        unused = 0 * self.label_enc.weight.sum()  # without objects; each parameter needs a gradient
        parts = dict.fromkeys([*_PARTS.values(), *([_DENOISING] if self.settings.denoising else [])], unused)
        guesses = (outputs.guesses.logits, outputs.guesses.references.sigmoid())
        total = torch.stack([x.float().sum() for x in (*outputs.logits, *outputs.boxes, *guesses)]).sum()
        if not torch.isfinite(total):
            # The matching would raise an error. Other processes, whose predictions are finite, have the same losses
            # and a gradient for every parameter, and so must this one.
            return {name: math.nan * total + unused for name in parts}
        for key, loss in self.published_losses(outputs, targets).items():
            name = key.split("_")[1]
            part = _DENOISING if "_dn" in key else _PARTS[name]
            if part in parts:
                parts[part] = parts[part] + WEIGHTS[name] * loss
        return parts

    def published_losses(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """Losses before they are weighted, by the published names."""
        count = average_count(targets, outputs.boxes[0].device)
        denoising, last = outputs.denoising, len(outputs.boxes) - 1
        size = denoising.count if denoising else 0
        (dn_logits, logits), (dn_boxes, boxes) = split(outputs.logits, size), split(outputs.boxes, size)
        losses: dict[str, Tensor] = {}
        with torch.autocast(count.device.type, enabled=False):
            for layer in range(last + 1):
                suffix = "" if layer == last else f"_{layer}"
                losses |= _named(suffix, set_losses(logits[layer], boxes[layer], targets, count))
                repaired = (
                    dict.fromkeys(WEIGHTS, count.new_zeros(()))
                    if denoising is None
                    else set_losses(
                        dn_logits[layer], dn_boxes[layer], targets, count * denoising.groups, denoising.pairs
                    )
                )
                losses |= _named(f"_dn{suffix}", repaired)
            guesses = outputs.guesses
            losses |= _named("_interm", set_losses(guesses.logits, guesses.references.sigmoid(), targets, count))
        return losses


class _Decoder(Decoder):
    """With the class head, which all layers share, where it has its published name."""

    class_embed: nn.Linear


class _Transformer(nn.Module):
    """From projected maps to predictions, with the published names."""

    def __init__(self, num_classes: int, settings: DINOSettings) -> None:
        super().__init__()
        width = settings.width
        sizes: dict[str, Any] = {"heads": settings.heads, "hidden": settings.hidden, "levels": settings.levels}
        self.queries = settings.queries
        self.level_embed = nn.Parameter(torch.randn(settings.levels, width))
        self.encoder = Encoder(settings.encoder_layers, width, **sizes)
        self.decoder = _Decoder(settings.decoder_layers, width, eps=EPS, **sizes)
        self.decoder.class_embed = nn.Linear(width, num_classes)
        self.tgt_embed = nn.Embedding(settings.queries, width)
        self.enc_output, self.enc_output_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.enc_out_bbox_embed = box_head(width)
        self.enc_out_class_embed = nn.Linear(width, num_classes)
        xavier(self.tgt_embed)
        xavier(self.enc_output)
        for head in (self.decoder.class_embed, self.enc_out_class_embed):
            nn.init.constant_(head.bias, -math.log(1 / _FIRST_PROBABILITY - 1))

    def forward(
        self, maps: Sequence[Tensor], levels: Levels, denoising: Denoising | None = None
    ) -> tuple[list[Tensor], list[Tensor], Guesses]:
        """Logits and boxes of each layer (those of the last alone in evaluation mode), and the first guesses."""
        memory = self.encode(maps, levels)
        guesses = self.guess(memory, levels)
        references = guesses.references.detach()
        batch, queries = references.shape[:2]
        contents = self.tgt_embed.weight[:queries].expand(batch, -1, -1)
        if denoising is not None:
            contents = torch.cat((denoising.contents, contents), 1)
            references = torch.cat((denoising.references, references), 1)
        decoded = self.decoder(contents, references, memory, levels, None if denoising is None else denoising.mask)
        if not self.training:
            decoded = decoded.last()
        logits = [self.decoder.class_embed(self.decoder.norm(state)) for state in decoded.states]
        return logits, self.decoder.boxes(decoded), guesses

    def encode(self, maps: Sequence[Tensor], levels: Levels) -> Tensor:
        """[B, N, width], all cells of all levels, having seen one another."""
        positions = [
            sine_positions(padding, self.level_embed.shape[1], _TEMPERATURE) + embed
            for padding, embed in zip(levels.padding, self.level_embed, strict=True)
        ]
        return self.encoder(flatten(maps), torch.cat(positions, 1), levels)

    def guess(self, memory: Tensor, levels: Levels) -> Guesses:
        """The best cells; those in the padding and at the rim count as zeros."""
        proposals, removed = cell_proposals(levels)
        features = self.enc_output_norm(self.enc_output(memory.masked_fill(removed[..., None], 0)))
        logits = self.enc_out_class_embed(features)
        places = best_cells(logits.float(), self.queries)
        references = self.enc_out_bbox_embed(gather(features, places)).float() + gather(proposals, places)
        return Guesses(gather(logits, places), references)


def set_losses(
    logits: Tensor, boxes: Tensor, targets: Targets, count: Tensor, pairs: Sequence[Pairs] | None = None
) -> dict[str, Tensor]:
    """Losses of one set of queries.

    Args:
        logits: [B, Q, classes].
        boxes: [B, Q, 4].
        targets: Objects of each image.
        count: What sums are divided by.
        pairs: Which query stands for which object; None matches them.
    """
    logits, boxes = logits.float(), boxes.float()
    pairs = match(logits, boxes, targets) if pairs is None else pairs
    counted = queries_to_count(boxes, targets, pairs)
    ce = focal_loss(logits, [target["labels"] for target in targets], pairs, count, counted)
    return dict(zip(WEIGHTS, (ce, *box_losses(boxes, targets, pairs, count)), strict=True))


@torch.no_grad()
def match(logits: Tensor, boxes: Tensor, targets: Targets) -> list[Pairs]:
    """Which query of logits [B, Q, classes] and boxes [B, Q, 4] stands for which object."""
    return [
        cheapest_pairs(matching_cost(of_class, of_box, target))
        for of_class, of_box, target in zip(logits, boxes, targets, strict=True)
    ]


def matching_cost(logits: Tensor, boxes: Tensor, target: Mapping[str, Tensor]) -> Tensor:
    """[Q, n], what it costs that a query of an image, [Q, classes] and [Q, 4], stands for an object."""
    return _CLASS_COST * class_cost(logits, target["labels"]) + box_cost(boxes, target["boxes"])


def _named(suffix: str, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"loss_{name}{suffix}": loss for name, loss in losses.items()}


def published_names(name: str, decoder_layers: int) -> tuple[str, ...]:
    """Published names of one of our tensors: heads that all layers of the decoder share are stored once for each."""
    prefix, _, inner = name.rpartition("transformer.decoder.")
    head, _, rest = inner.partition(".")
    if prefix or head not in ("bbox_embed", "class_embed"):
        return (name,)
    places = ("transformer.decoder.", "")
    return tuple(f"{place}{head}.{layer}.{rest}" for place in places for layer in range(decoder_layers))
