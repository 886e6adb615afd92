"""Semantic and panoptic segmentation as a task."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastitpn.models.layer_ids import layer_id, num_layers
from fastitpn.models.weights.official_names import BACKBONE
from fastitpn.tasks.segment.heads.base import Outputs
from fastitpn.tasks.segment.model import Segmenter
from fastitpn.tasks.segment.panoptic import count_matches
from fastitpn.tasks.segment.panoptic_scores import panoptic_scores
from fastitpn.tasks.segment.scores import pixel_confusion, segmentation_scores
from fastitpn.tasks.segment.views import Views, label_map, log_probabilities
from fastitpn.training.task import Batch, Task


class SegmentTask(Task):
    """A network that gives each pixel a class.

    Args:
        model: The network.
        description: What `describe` returns: model, head, classes, colours, normalisation, px, how masks are numbered.
        views: How images are looked at in an evaluation.
    """

    def __init__(self, model: Segmenter, description: Mapping[str, Any], views: Views):
        super().__init__()
        self.trained_model = model
        self.description = dict(description)
        self.views = views
        self.depths = tuple(len(stage.blocks) for stage in model.backbone.stages)  # type: ignore[arg-type]
        self.num_layers = num_layers(self.depths)
        self._run: Callable[[Tensor], Outputs] = model.forward

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a micro-batch {image [B, 3, H, W], mask [B, H, W], of labels or of codes of segments}."""
        return self.trained_model.head.losses(self._run(batch["image"]), batch["mask"])

    def compile_model(self) -> None:
        """Compiles training alone: in an evaluation nearly every image has a size of its own."""
        self._run = torch.compile(self.trained_model.forward)

    def evaluate(self, batches: Iterable[Batch], model: nn.Module) -> dict[str, float]:
        """Figures in percent, at the original size of each image: of segments if they are learnt, else of pixels."""
        network = cast(Segmenter, model)
        if (things := self.description.get("masks", {}).get("things")) is not None:
            counted = [name in things for name in self.description["classes"]]
            return panoptic_scores(count_matches(batches, network, self.views, counted), counted)
        return segmentation_scores(confusion(batches, network, self.views, self.num_classes))

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.description["classes"])

    def describe(self) -> dict[str, Any]:
        """Model and head with their arguments, classes, colours, normalisation, px and acceleration."""
        acceleration = self.trained_model.backbone.acceleration.to_dict()
        return {"task": "segment", **self.description, "acceleration": acceleration}

    def layer_id(self, name: str) -> int:
        """Layer of a parameter; pyramid and head have the whole learning rate, as published."""
        return layer_id(name.removeprefix(BACKBONE), self.depths)


@torch.no_grad()
def confusion(batches: Iterable[Batch], model: Segmenter, views: Views, num_classes: int) -> Tensor:
    """Confusion matrix over all pixels of all images, on the CPU.

    Args:
        batches: {image [B, 3, H, W], mask [B, H, W]} in their own size, on the model's device.
        model: In evaluation mode.
        views: How to look at the images.
        num_classes: Classes.
    """
    matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for batch in batches:
        for image, mask in zip(batch["image"], batch["mask"], strict=True):
            labels, _ = label_map(log_probabilities(model, image, views), *mask.shape)
            matrix += pixel_confusion(labels, mask, num_classes).cpu()
    return matrix
