"""DINO (Zhang et al., 2022) on our pyramid: a set of queries, each of which finds one object, without suppression."""

from collections.abc import Sequence

from torch import Tensor
from torchvision.ops import box_convert

from fastitpn.models.backbone import FastITPN
from fastitpn.models.pyramid import STRIDES
from fastitpn.tasks.detect.heads.base import Detections, Detector, Size, Target
from fastitpn.tasks.detect.heads.dino_levels import as_numbers
from fastitpn.tasks.detect.heads.dino_network import DINONetwork, DINOSettings

_LEVELS = 4


class DINO(Detector):
    """Deformable encoder, a first guess from it, and a decoder that refines the guesses.

    Of transformers: the encoder of Deformable DETR, the decoder and the losses of RT-DETR v2 (varifocal for classes,
    in place of focal). As published for DINO: mixed query selection, contrastive denoising, look forward twice.

    Args:
        backbone: A `FastITPN` with a pyramid.
        num_classes: Number of classes.
        finest_stride: Stride of the finest of its four levels, 4 or 8; published: 8, while 4 is slower and
            finds smaller objects. The pyramid is pruned of finer levels.
        queries: Objects that can be found in an image at most; published: 900.
        denoising: Pairs of disturbed boxes that training learns to repair, together; published: 100, 0 is off.
        encoder_layers: Layers of the encoder; published: 6.
        decoder_layers: Layers of the decoder; published: 6.
        ffn_ratio: Hidden width of their feed-forward networks, as a multiple of the pyramid's; published: 8.
        detections: Objects of an image at most.
    """

    class_layers: tuple[str, ...] = (
        "network.first_class_head.",
        "network.class_heads.",
        "network.label_embed.",
        "network.criterion.",
    )

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
        super().__init__(backbone)
        assert backbone.pyramid is not None
        first = STRIDES.index(finest_stride)
        backbone.pyramid.prune(list(range(first, len(STRIDES))))
        self.detections = detections
        width = backbone.pyramid.dim
        settings = DINOSettings(
            width=width,
            hidden=round(width * ffn_ratio),
            strides=STRIDES[first : first + _LEVELS],
            queries=queries,
            denoising=denoising,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
        )
        self.network = DINONetwork(num_classes, settings)

    def canvas_losses(self, canvas: Tensor, sizes: list[Size], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses of the matched queries of all layers: class, box and overlap; and of the denoising, their sum."""
        assert self.training
        normalised = [
            {"class_labels": target["labels"], "boxes": _to_normalised(target["boxes"].float(), size)}
            for target, size in zip(targets, sizes, strict=True)
        ]
        return self.network.losses(self.feature_maps(canvas)[:_LEVELS], sizes, normalised)

    def canvas_detections(self, canvas: Tensor, sizes: list[Size]) -> list[Detections]:
        """Detections of the images."""
        assert not self.training
        boxes, scores, labels = self._best(*self.network(self.feature_maps(canvas)[:_LEVELS], sizes))
        return [
            {"boxes": shares * _scale(size, shares), "scores": score, "labels": label}
            for shares, score, label, size in zip(boxes, scores, labels, sizes, strict=True)
        ]

    def detect_whole(self, canvas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detections of images that fill the canvas, in evaluation mode, in operations that can be traced.

        Args:
            canvas: [B, 3, H, W].

        Returns:
            Best first: boxes [B, n, 4] (left, top, right, bottom, as shares of the image), scores [B, n] and labels
            int64 [B, n].
        """
        sizes = as_numbers(canvas.shape[-2:], canvas.device).expand(canvas.shape[0], 2)
        return self._best(*self.network(self.feature_maps(canvas)[:_LEVELS], sizes))

    def _best(self, logits: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What all queries [B, Q, classes], [B, Q, 4] found to boxes, scores and labels, as `detect_whole` has them."""
        num_classes = logits.shape[-1]
        scores, place = logits.sigmoid().flatten(1).topk(min(self.detections, logits.shape[1] * num_classes), 1)
        best = boxes.gather(1, (place // num_classes)[..., None].expand(-1, -1, 4))
        return box_convert(best, "cxcywh", "xyxy").clamp(0, 1), scores, place % num_classes


def _scale(size: Size, like: Tensor) -> Tensor:
    height, width = size
    return like.new_tensor([width, height, width, height])


def _to_normalised(boxes: Tensor, size: Size) -> Tensor:
    """Corners in pixels to centre, width and height, as shares of the image."""
    return box_convert(boxes / _scale(size, boxes), "xyxy", "cxcywh")
