"""Detection as a task."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastitpn.data.chunks import TOGETHER, chunks
from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.tasks.detect.description import DetectorDescription
from fastitpn.tasks.detect.heads.base import Detections, Detector
from fastitpn.tasks.detect.metrics import metrics_of
from fastitpn.tasks.detect.place_loss import place_loss
from fastitpn.tasks.detect.scores import CocoScores
from fastitpn.tasks.detect.views import DetectViews
from fastitpn.tasks.task import BackboneTask

DetectBatch = Mapping[str, Any]
"""`index` [B], and lists with one item for each image under the other keys, as `collate_detect` makes them."""


class DetectTask(BackboneTask[DetectorDescription]):
    """A detector that learns from annotated images.

    Args:
        model: The detector that learns.
        about: What a checkpoint says of it.
    """

    trained_model: Detector

    def __init__(self, model: Detector, about: DetectorDescription):
        super().__init__("detect", model, about, metrics_of(masks=model.has_masks))

    def forward(self, batch: DetectBatch) -> dict[str, Tensor]:
        """The losses of a micro-batch {image, boxes, labels, ignored, masks}, lists with an item for each image."""
        keys = [key for key in ("boxes", "labels", "ignored", "masks") if key in batch]
        targets = [dict(zip(keys, values, strict=True)) for values in zip(*(batch[key] for key in keys), strict=True)]
        losses = self.trained_model.losses(batch["image"], targets)
        return self.with_scorers(losses, partial(place_loss, images=batch["image"], targets=targets))

    def compile_model(self) -> None:
        """Compiles the backbone in training."""
        self.trained_model.compile_features()

    def evaluate(self, batches: Iterable[DetectBatch], model: nn.Module) -> dict[str, float]:
        """COCO's figures of boxes and masks, in percent, at the original size of each image."""
        return score(batches, cast(Detector, model), self.about.classes).figures()


@torch.no_grad()
def score(batches: Iterable[DetectBatch], model: Detector, classes: DetectionClasses) -> CocoScores:
    """Compares the detections of a model with the annotations.

    Args:
        batches: Batches of samples of `DetectEvaluationDataset`, on the model's device.
        model: In evaluation mode.
        classes: Names and ids that the labels stand for.
    """
    scores = CocoScores(classes)
    for batch, detections in detect_all(batches, model):
        scores.add(batch, detections)
    return scores


def detect_all(
    batches: Iterable[DetectBatch], model: Detector, most: int = TOGETHER
) -> Iterator[tuple[DetectBatch, list[Detections]]]:
    """Batches with what a model finds in their images; those of one size are looked at together.

    Args:
        batches: Small batches of samples of `DetectEvaluationDataset`, on the model's device.
        model: In evaluation mode.
        most: Batches that are held at a time.
    """
    for chunk in chunks(batches, most, lambda batch: sum(image[0].numel() for image in batch["image"])):
        images, sizes = ([item for batch in chunk for item in batch[key]] for key in ("image", "size"))
        detections = model.detect_each(images, sizes)
        for batch in chunk:
            yield batch, list(itertools.islice(detections, len(batch["image"])))


def view_all(
    batches: Iterable[DetectBatch], model: Detector, views: DetectViews
) -> Iterator[tuple[DetectBatch, list[Detections]]]:
    """As `detect_all`, where each image comes in several views."""
    for batch in batches:
        yield batch, [views.detect(model.detect_each, image) for image in batch["image"]]
