"""DINO (Zhang et al., 2022) on our pyramid: a set of queries, each of which finds one object, without suppression."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_convert

from fastitpn.models.backbone import FastITPN
from fastitpn.models.pyramid import STRIDES
from fastitpn.tasks.detect.heads.base import Detections, Detector, Size, Target
from fastitpn.tasks.detect.heads.dino_network import DINONetwork, DINOSettings, published_names
from fastitpn.tasks.detr.levels import blank_of, padding_of
from fastitpn.tasks.heads import HEAD_DIM

_LEVELS = 4


class DINO(Detector):
    """Deformable encoder, a first guess from it, and a decoder that refines the guesses, as published.

    Mixed query selection, contrastive denoising, look forward twice.

    Args:
        backbone: A `FastITPN` with a pyramid.
        num_classes: Number of classes.
        width: Channels inside, a multiple of 32; published: 256.
        neck: "pyramid": four levels of the pyramid, normalised; "published": a convolution with group norm on each of
            three levels and, for the coarsest, another one on the last of them.
        finest_stride: Stride of the finest of its levels, 4 or 8; published: 8, while 4 is slower and finds smaller
            objects. The pyramid is pruned of finer levels.
        queries: Objects that can be found in an image at most; published: 900.
        denoising: Pairs of disturbed boxes that training learns to repair, together; published: 100, 0 is off.
        box_noise: How far those boxes are moved, in halves of their sides; published: 1.
        encoder_layers: Layers of the encoder; published: 6.
        decoder_layers: Layers of the decoder; published: 6.
        ffn_ratio: Hidden width of their feed-forward networks, as a multiple of the width; published: 8.
        detections: Objects of an image at most; published: 300.
    """

    class_layers: tuple[str, ...] = (
        "network.transformer.enc_out_class_embed.",
        "network.transformer.decoder.class_embed.",
        "network.label_enc.",
    )
    input_layers: tuple[str, ...] = ("network.input_proj.",)

    def __init__(
        self,
        backbone: FastITPN,
        num_classes: int,
        *,
        width: int = 256,
        neck: str = "pyramid",
        finest_stride: int = 8,
        queries: int = 900,
        denoising: int = 100,
        box_noise: float = 1.0,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        ffn_ratio: float = 8,
        detections: int = 300,
    ):
        super().__init__(backbone)
        assert backbone.pyramid is not None
        first = STRIDES.index(finest_stride)
        self._maps = _LEVELS if neck == "pyramid" else _LEVELS - 1
        backbone.pyramid.prune(list(range(first, len(STRIDES))))
        self.detections, self.queries = detections, queries
        settings = DINOSettings(
            channels=(backbone.pyramid.dim,) * self._maps,
            strides=STRIDES[first : first + _LEVELS] if neck == "pyramid" else None,
            width=width,
            heads=max(1, width // HEAD_DIM),
            hidden=round(width * ffn_ratio),
            queries=queries,
            denoising=denoising,
            box_noise=box_noise,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
        )
        self.network = DINONetwork(num_classes, settings)

    def published_names(self) -> dict[str, tuple[str, ...]]:
        """Parameters of the head, by their published names; with our pyramid's input, which has none, but for that."""
        layers = len(self.network.transformer.decoder.layers)
        return {
            f"network.{name}": published_names(name, layers)
            for name, _ in self.network.named_parameters()
            if self._maps < _LEVELS or not name.startswith("input_proj.")
        }

    def canvas_losses(self, canvas: Tensor, sizes: list[Size], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses of the matched queries of all layers: class, box and overlap; and of the denoising, their sum."""
        assert self.training
        objects = [normalised(target, size) for target, size in zip(targets, sizes, strict=True)]
        maps = self.feature_maps(canvas)[: self._maps]
        return self.network.losses(maps, _padding(canvas, sizes), objects)

    def canvas_detections(self, canvas: Tensor, sizes: list[Size]) -> list[Detections]:
        """Detections of the images."""
        assert not self.training
        boxes, scores, labels = self._best(canvas, _padding(canvas, sizes))
        return [
            {"boxes": shares * _scale(size, shares), "scores": score, "labels": label}
            for shares, score, label, size in zip(boxes, scores, labels, sizes, strict=True)
        ]

    def detect_whole(self, canvas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detections of images that fill the canvas, in evaluation mode, in operations that can be traced.

        Args:
            canvas: [B, 3, H, W]; what is exactly zero below and to the right of an image counts as padding.

        Returns:
            Best first: boxes [B, n, 4] (left, top, right, bottom, as shares of the canvas), scores [B, n] and labels
            int64 [B, n].
        """
        padding = blank_of(canvas)
        boxes, scores, labels = self._best(canvas, padding)
        filled = torch.stack([(~side).float().mean(1) for side in (padding[:, 0], padding[:, :, 0])], -1)  # [B, 2]
        return boxes * filled.repeat(1, 2)[:, None], scores, labels

    def _best(self, canvas: Tensor, padding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, boxes = self.network(self.feature_maps(canvas)[: self._maps], padding)
        boxes, scores, labels = best_detections(logits, boxes, self.detections)
        return boxes.clamp(0, 1), scores, labels  # published: not cut off at the rim of the image


def best_detections(logits: Tensor, boxes: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best pairs of query and class, as published.

    Args:
        logits: [B, Q, classes].
        boxes: [B, Q, 4]: centre, width and height.
        count: Pairs at most.

    Returns:
        Best first: boxes [B, n, 4] (left, top, right, bottom), scores [B, n] and labels int64 [B, n].
    """
    num_classes = logits.shape[-1]
    scores, place = logits.sigmoid().flatten(1).topk(min(count, logits.shape[1] * num_classes), 1)
    best = boxes.gather(1, (place // num_classes)[..., None].expand(-1, -1, 4))
    return box_convert(best, "cxcywh", "xyxy"), scores, place % num_classes


def _padding(canvas: Tensor, sizes: list[Size]) -> Tensor:
    return padding_of(sizes, (canvas.shape[-2], canvas.shape[-1]), canvas.device)


def _scale(size: Size, like: Tensor) -> Tensor:
    height, width = size
    return like.new_tensor([width, height, width, height])


def normalised(target: Target, size: Size) -> dict[str, Tensor]:
    """Boxes to centre, width and height, and ignored regions, in shares of the image."""
    scale = _scale(size, target["boxes"].float())
    boxes = box_convert(target["boxes"].float() / scale, "xyxy", "cxcywh")
    ignored = target.get("ignored", target["boxes"][:0]).float() / scale
    return {"labels": target["labels"], "boxes": boxes, "ignored": ignored}
