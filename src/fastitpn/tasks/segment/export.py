"""A segmentation network to export."""

from collections.abc import Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastitpn.data.segmentation.images import MaskFolders, segmentation_images
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.network import Network
from fastitpn.exporting.pictures import Outputs, Pictures
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.segment.description import SegmenterDescription
from fastitpn.tasks.segment.heads.registry import HEADS
from fastitpn.tasks.segment.measures import measure_of
from fastitpn.tasks.segment.model import Segmenter


class SegmentNetwork(Network):
    """Logarithms of the classes' probabilities [B, classes, H / 4, W / 4]."""

    outputs: tuple[str, ...] = ("log_probabilities",)

    def __init__(self, model: Segmenter):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        return (self.model.log_probabilities(images),)


class PanopticNetwork(SegmentNetwork):
    """Also what segments are made of: logits of classes [B, queries, classes + 1] and masks [B, queries, H/4, W/4]."""

    outputs = ("log_probabilities", "class_logits", "mask_logits")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        outputs = self.model(images)
        return self.model.head.log_probabilities(outputs), outputs["classes"][-1], outputs["masks"][-1]


class SegmentExport(Exportable):
    """A network that gives each pixel a class."""

    noun = "segmentation network"
    hub_task = "image-segmentation"
    example = Path(str(resources.files("fastitpn.exporting") / "examples" / "segment.py"))
    any_size = True

    def __init__(self, trained: Trained[Segmenter, SegmenterDescription]):
        about = trained.about
        network = (PanopticNetwork if about.classes.panoptic else SegmentNetwork)(trained.model)
        name = about.head["name"]
        super().__init__(
            network.eval(),
            mean=about.mean,
            std=about.std,
            classes=about.class_names,
            head=name,
            half=HEADS[name].half,
            open_size=HEADS[name].open_size,
        )
        self.metrics = measure_of(about.classes).metrics
        self._classes = about.classes

    def labelled(self, data: Path) -> Pictures:
        """Images with masks of the classes."""
        masked = segmentation_images(MaskFolders(data=data), self._classes)
        read = masked.codes if self._classes.panoptic else masked.labels
        return Pictures(images=masked.images, truth=[partial(read, index) for index in range(len(masked))])

    def score(self, outputs: Sequence[Outputs], truth: Sequence[Any]) -> dict[str, float]:
        """PQ and its parts for the segments of a panoptic network, else mIoU and accuracies of pixels."""
        measure = measure_of(self._classes)(self._classes)
        for output, read in zip(outputs, truth, strict=True):
            mask = torch.from_numpy(read())
            measure.count(measure.read(output, (mask.shape[0], mask.shape[1])), mask)
        return measure.scores()

    def describe(self) -> dict[str, Any]:
        """The colours of the classes."""
        return {"colors": [list(color) for color in self._classes.colors]}
