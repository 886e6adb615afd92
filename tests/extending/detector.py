"""A detector that finds one object in each image, from the mean of the pyramid's coarsest level."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.config.types import Positive
from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.detect.heads.base import Detections, Detector, Size, Target
from fastitpn.tasks.detect.heads.keys import DetectorKeys
from fastitpn.tasks.heads import HeadSpec


@dataclass(frozen=True, kw_only=True)
class OneObjectKeys(DetectorKeys):
    """Detector: one_object."""

    name: str = "one_object"
    box_weight: Positive = 2.0
    """Weight of the loss of the box."""


class OneObject(Detector):
    """The class and the box of the largest object."""

    class_layers = ("classifier.",)

    def __init__(self, backbone: FastITPN, num_classes: int, *, box_weight: float):
        super().__init__(backbone)
        self.box_weight = box_weight
        dim: Any = backbone.pyramid.dim
        self.classifier = nn.Linear(dim, num_classes)
        self.box = nn.Linear(dim, 4)

    def _predict(self, canvas: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, classes], and boxes [B, 4] as shares of the canvas: left, top, right, bottom."""
        pooled = self.feature_maps(canvas)[-1].mean((-2, -1))
        x, y, width, height = self.box(pooled).sigmoid().unbind(-1)
        return self.classifier(pooled), torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], -1)

    def canvas_losses(self, canvas: Tensor, sizes: list[Size], targets: Sequence[Target]) -> dict[str, Tensor]:
        logits, boxes = self._predict(canvas)
        side = canvas.new_tensor([canvas.shape[-1], canvas.shape[-2]]).repeat(2)
        kept = [place for place, target in enumerate(targets) if len(target["labels"])]
        if not kept:
            return {"loss_class": logits.sum() * 0, "loss_box": boxes.sum() * 0}
        largest = [((t["boxes"][:, 2:] - t["boxes"][:, :2]).prod(1)).argmax() for t in (targets[i] for i in kept)]
        labels = torch.stack([targets[i]["labels"][n] for i, n in zip(kept, largest, strict=True)])
        wanted = torch.stack([targets[i]["boxes"][n] for i, n in zip(kept, largest, strict=True)]) / side
        return {
            "loss_class": F.cross_entropy(logits[kept], labels),
            "loss_box": self.box_weight * F.l1_loss(boxes[kept], wanted),
        }

    def canvas_detections(self, canvas: Tensor, sizes: list[Size]) -> list[Detections]:
        logits, boxes = self._predict(canvas)
        scores, labels = logits.softmax(-1).max(-1)
        pixels = boxes * canvas.new_tensor([canvas.shape[-1], canvas.shape[-2]]).repeat(2)
        return [
            {
                "boxes": torch.stack([box[0::2].clamp(0, width), box[1::2].clamp(0, height)], -1).flatten()[None],
                "scores": score[None],
                "labels": label[None],
            }
            for box, score, label, (height, width) in zip(pixels, scores, labels, sizes, strict=True)
        ]

    def detect_whole(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [B, 1, 4] as shares of the image, scores [B, 1], labels [B, 1], for an exported file."""
        logits, boxes = self._predict(images)
        scores, labels = logits.softmax(-1).max(-1)
        return boxes.clamp(0, 1)[:, None], scores[:, None], labels[:, None]


DETECTOR = HeadSpec(
    keys=OneObjectKeys,
    arguments=lambda keys, dim, px: {"box_weight": keys.box_weight},
    build=OneObject,
)
