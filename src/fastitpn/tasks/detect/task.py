"""Detection as a task."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.models.layer_ids import layer_id, num_layers
from fastitpn.models.weights.official_names import BACKBONE
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.detect.scores import CocoScores
from fastitpn.training.task import Task

DetectBatch = Mapping[str, Any]
"""`index` [B], and lists with one item for each image under the other keys, as `collate_detect` makes them."""


class DetectTask(Task):
    """A network that finds things.

    Args:
        model: The network.
        description: What `describe` returns: model, detector, classes (names), category_ids (of the classes
            in files), normalisation, px.
    """

    def __init__(self, model: Detector, description: Mapping[str, Any]):
        super().__init__()
        self.trained_model: Detector = model
        self.description = dict(description)
        self.depths = tuple(len(stage.blocks) for stage in model.backbone.stages)  # type: ignore[arg-type]
        self.num_layers = num_layers(self.depths)

    def forward(self, batch: DetectBatch) -> dict[str, Tensor]:
        """The losses of a micro-batch {image, boxes, labels, masks}, lists with an item for each image."""
        keys = [key for key in ("boxes", "labels", "masks") if key in batch]
        targets = [dict(zip(keys, values, strict=True)) for values in zip(*(batch[key] for key in keys), strict=True)]
        return self.trained_model.losses(batch["image"], targets)

    def compile_model(self) -> None:
        """Compiles the backbone in training."""
        self.trained_model.compile_features()

    def evaluate(self, batches: Iterable[DetectBatch], model: nn.Module) -> dict[str, float]:
        """COCO's figures of boxes and masks, in percent, at the original size of each image."""
        return score(batches, cast(Detector, model), self.classes).figures()

    @property
    def classes(self) -> DetectionClasses:
        """Names, and the categories that they are in files."""
        names, ids = self.description["classes"], self.description["category_ids"]
        return DetectionClasses(names=tuple(names), ids=tuple(ids))

    def describe(self) -> dict[str, Any]:
        """Model and detector with their arguments, classes, normalisation, px and acceleration."""
        acceleration = self.trained_model.backbone.acceleration.to_dict()
        return {"task": "detect", **self.description, "acceleration": acceleration}

    def layer_id(self, name: str) -> int:
        """Layer of a parameter; pyramid and detector have the whole learning rate, as published."""
        return layer_id(name.removeprefix(BACKBONE), self.depths)


@torch.no_grad()
def score(batches: Iterable[DetectBatch], model: Detector, classes: DetectionClasses) -> CocoScores:
    """Compares what a model finds with what is there.

    Args:
        batches: Of samples of `DetectEvaluationDataset`, on the model's device.
        model: In evaluation mode.
        classes: Of the labels.
    """
    scores = CocoScores(classes)
    for batch in batches:
        scores.add(batch, model.detect(batch["image"], batch["size"]))
    return scores
