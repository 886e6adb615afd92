"""MaskDINO above the feature maps: pixel decoder, predictor and losses."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fastitpn.tasks.detr.denoising import Denoising, Draws, Noise, Targets, denoise
from fastitpn.tasks.maskdino.losses import WEIGHTS, all_losses
from fastitpn.tasks.maskdino.pixel_decoder import PixelDecoder
from fastitpn.tasks.maskdino.points import Points
from fastitpn.tasks.maskdino.predictor import EPS, Predictions, Predictor

_PARTS = {"ce": "loss_class", "mask": "loss_mask", "dice": "loss_dice", "bbox": "loss_box", "giou": "loss_giou"}
_DENOISING = "loss_denoising"

Encoded = tuple[list[Tensor], Tensor]
"""What the pixel decoder gives: levels, and features at stride 4."""


@dataclass(frozen=True, kw_only=True)
class MaskDINOSettings:
    """Sizes and forms, by default the published ones for instances.

    Attributes:
        channels: Of the maps at strides 4, 8, 16 and 32.
        width: Channels inside.
        mask_width: Channels of the features that masks are made of.
        heads: Attention heads.
        encoder_hidden: Width of the encoder's feed-forward networks.
        decoder_hidden: Width of the decoder's.
        encoder_layers: Layers of the pixel decoder.
        decoder_layers: Layers of the decoder.
        levels: Levels that are looked at, from stride 8 on.
        coarse_first: Their order; see `PixelDecoder`.
        queries: Masks of an image at most.
        two_stage: See `Predictor`.
        box_start: See `Predictor`.
        no_object: Learn classes by cross entropy, with one more class of no object; else by focal loss.
        denoising: See `Noise.queries`.
        noise: See `Noise.label_ratio` and `Noise.box_scale`.
        points: See `Points`.
    """

    channels: tuple[int, ...]
    width: int = 256
    mask_width: int = 256
    heads: int = 8
    encoder_hidden: int = 1024
    decoder_hidden: int = 2048
    encoder_layers: int = 6
    decoder_layers: int = 9
    levels: int = 3
    coarse_first: bool = True
    queries: int = 300
    two_stage: bool = True
    box_start: str = "bitmask"
    no_object: bool = False
    denoising: int = 100
    noise: float = 0.4
    points: int = 12544


class MaskDINONetwork(nn.Module):
    """From feature maps to queries with a class, a box and a mask. Its parameters have the published names.

    Args:
        num_classes: Number of classes.
        settings: Sizes and forms.
    """

    class_layers: tuple[str, ...] = ("predictor.class_embed.", "predictor.label_enc.")
    input_layers: tuple[str, ...] = ("pixel_decoder.input_proj.", "pixel_decoder.adapter_1.")

    def __init__(self, num_classes: int, settings: MaskDINOSettings):
        super().__init__()
        self.settings, self.num_classes = settings, num_classes
        self.points = Points(settings.points)
        self.noise = Noise(
            queries=settings.denoising,
            contrastive=False,
            label_ratio=settings.noise,
            box_scale=settings.noise,
            eps=EPS,
        )
        self.pixel_decoder = PixelDecoder(
            settings.channels,
            settings.width,
            mask_width=settings.mask_width,
            heads=settings.heads,
            hidden=settings.encoder_hidden,
            layers=settings.encoder_layers,
            levels=settings.levels,
            coarse_first=settings.coarse_first,
        )
        self.predictor = Predictor(
            settings.width,
            mask_width=settings.mask_width,
            num_logits=num_classes + settings.no_object,
            num_classes=num_classes,
            queries=settings.queries,
            heads=settings.heads,
            hidden=settings.decoder_hidden,
            layers=settings.decoder_layers,
            levels=settings.levels,
            two_stage=settings.two_stage,
            box_start=settings.box_start,
        )

    def forward(self, maps: Sequence[Tensor]) -> Predictions:
        """Predictions of the last layer, of maps at strides 4 to 32."""
        [predictions], _, _ = self.predictor(*self.pixel_decoder(maps), last=True)
        return Predictions(*predictions)

    def published_names(self) -> dict[str, tuple[str, ...]]:
        """The parameters, by their published names."""
        layers = len(self.predictor.decoder.layers)
        return {name: published_names(name, layers) for name, _ in self.named_parameters()}

    def denoiser(self, targets: Targets, draws: Draws | None = None) -> Callable[[int], Denoising | None]:
        """Makes denoising queries of objects, beside so many that are matched."""
        table = self.predictor.label_enc
        return lambda queries: denoise(targets, self.noise, table, self.num_classes, queries, draws)

    def losses(self, encoded: Encoded, targets: Targets) -> dict[str, Tensor]:
        """Weighted losses, summed over the layers; not a number where a prediction is none.

        Args:
            encoded: What the pixel decoder gave.
            targets: Objects of each image: labels [n], boxes [n, 4] (centre, width, height as shares of the image),
                masks [n, H, W] of the whole canvas, and perhaps ignored regions [k, 4] (corners as shares).
        """
        predictions, guesses, denoising = self.predictor(*encoded, self.denoiser(targets))
        unused = 0 * self.predictor.label_enc.weight.sum()  # without objects; each parameter needs a gradient
        parts = dict.fromkeys([*_PARTS.values(), *([_DENOISING] if self.settings.denoising else [])], unused)
        sets = [*predictions, *([] if guesses is None else [guesses])]
        total = torch.stack([part.float().sum() for predicted in sets for part in predicted]).sum()
        if not torch.isfinite(total):  # the matching would raise an error: see DINO
            return {name: math.nan * total + unused for name in parts}
        no_object = self.settings.no_object
        losses = all_losses(predictions, guesses, denoising, targets, self.points, no_object=no_object)
        for key, loss in losses.items():
            name = key.split("_")[1]
            part = _DENOISING if "_dn" in key else _PARTS[name]
            if part in parts:
                parts[part] = parts[part] + WEIGHTS[name] * loss
        return parts


def published_names(name: str, decoder_layers: int) -> tuple[str, ...]:
    """Published names of one of our tensors: heads and norms that several parts share are stored once for each."""
    outer, decoder = "sem_seg_head.predictor.", "predictor.decoder."
    if name.startswith(f"{decoder}norm."):
        leaf = name.removeprefix(f"{decoder}norm.")
        return (f"{outer}decoder_norm.{leaf}", f"{outer}decoder.norm.{leaf}")
    if name.startswith(f"{decoder}bbox_embed."):
        rest = name.removeprefix(f"{decoder}bbox_embed.")
        several = [f"{outer}{place}bbox_embed.{n}.{rest}" for place in ("decoder.", "") for n in range(decoder_layers)]
        return (*several, f"{outer}_bbox_embed.{rest}")
    return (f"sem_seg_head.{name}",)
