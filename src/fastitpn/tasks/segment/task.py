"""Semantic and panoptic segmentation as a task."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from fastitpn.data.chunks import TOGETHER, chunks
from fastitpn.tasks.segment.description import SegmenterDescription
from fastitpn.tasks.segment.heads.base import Outputs
from fastitpn.tasks.segment.measures import measure_of
from fastitpn.tasks.segment.model import Segmenter
from fastitpn.tasks.segment.patch_loss import patch_loss
from fastitpn.tasks.segment.views import TestTimeViews
from fastitpn.tasks.task import BackboneTask
from fastitpn.training.task import Batch


class SegmentTask(BackboneTask[SegmenterDescription]):
    """A network that gives each pixel a class.

    Args:
        model: The network that learns.
        about: What a checkpoint says of it.
        class_weights: [classes], of each class in the loss; None for no weights, as heads need that take none.
    """

    trained_model: Segmenter
    class_weights: Tensor | None

    def __init__(self, model: Segmenter, about: SegmenterDescription, class_weights: Tensor | None = None):
        super().__init__("segment", model, about, measure_of(about.classes).metrics)
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.views = TestTimeViews.of(about)
        self._run: Callable[[Tensor], Outputs] = model.forward

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a micro-batch {image [B, 3, H, W], mask [B, H, W], of labels or of codes of segments}."""
        weights = () if self.class_weights is None else (self.class_weights,)
        losses: dict[str, Tensor] = self.trained_model.head.losses(self._run(batch["image"]), batch["mask"], *weights)
        return self.with_scorers(losses, partial(patch_loss, masks=batch["mask"], class_weights=self.class_weights))

    def compile_model(self) -> None:
        """Compiles training alone: in an evaluation nearly every image has a size of its own."""
        self._run = torch.compile(self.trained_model.forward)

    def evaluate(self, batches: Iterable[Batch], model: nn.Module) -> dict[str, float]:
        """Metrics in percent, at the original size of each image: of segments if they are learnt, else of pixels."""
        measure = measure_of(self.about.classes)(self.about.classes)
        pairs = (pair for batch in batches for pair in zip(batch["image"], batch["mask"], strict=True))
        for chunk in chunks(pairs, TOGETHER, lambda pair: pair[1].numel()):
            images, masks = zip(*chunk, strict=True)
            measure.add(cast(Segmenter, model), images, masks, self.views)
        return measure.scores()
