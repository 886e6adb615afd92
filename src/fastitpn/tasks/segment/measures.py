"""What is counted image by image, and the metrics that follow: of the classes of pixels, or of segments."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fastitpn.data.segmentation.classes import Color, SegmentationClasses
from fastitpn.data.segmentation.images import MaskedImages
from fastitpn.reporting.overlays import overlay
from fastitpn.tasks.segment.evaluation import MaskEvaluation, SegmentEvaluation
from fastitpn.tasks.segment.metrics import PANOPTIC, SEMANTIC
from fastitpn.tasks.segment.model import Segmenter
from fastitpn.tasks.segment.panoptic import find_segments, segments_of
from fastitpn.tasks.segment.panoptic_evaluation import PanopticEvaluation
from fastitpn.tasks.segment.panoptic_pictures import segment_overlay
from fastitpn.tasks.segment.panoptic_scores import match_segments, panoptic_scores
from fastitpn.tasks.segment.scores import pixel_confusion, segmentation_scores
from fastitpn.tasks.segment.views import TestTimeViews, auto_batch, label_map, log_probabilities
from fastitpn.training.metric import Metric

Cells = NDArray[Any]
"""[H, W]: for each pixel its label, or the code of its segment."""


class ImageScore(NamedTuple):
    """How good the prediction for one image is."""

    prediction: Cells
    score: float
    """The first metric, of this image alone."""
    counts: bool
    """Whether anything in the image counts."""


class Measure:
    """Adds up what is right and wrong in images.

    Args:
        classes: Classes of the network.

    Attributes:
        metrics: What it measures; the first one says which images are the worst.
        by_image: What was counted in each image.
    """

    metrics: ClassVar[tuple[Metric, ...]]

    def __init__(self, classes: SegmentationClasses):
        self.classes = classes
        self._auto_batch = auto_batch()
        self.by_image: list[NDArray[Any]] = []

    def add(
        self, model: Segmenter, images: Sequence[Tensor], masks: Sequence[Tensor], views: TestTimeViews
    ) -> list[ImageScore]:
        """Look at more images, those of one size together; in smaller batches where memory runs out.

        Args:
            model: In evaluation mode.
            images: [3, H, W] each, normalised, in their own sizes, on the model's device.
            masks: [H, W] each, of labels, or of codes of segments.
            views: Size, windows and scales in which to look at them.
        """

        def predict(size: int) -> dict[int, Tensor]:
            return dict(self.predict(model, images, replace(views, batch=size)))

        predictions = self._auto_batch(predict, views.parts(images))
        return [
            ImageScore(predictions[place].cpu().numpy(), *self.count(predictions[place], mask))
            for place, mask in enumerate(masks)
        ]

    def predict(self, model: Segmenter, images: Sequence[Tensor], views: TestTimeViews) -> Iterable[tuple[int, Tensor]]:
        """Labels or codes [H, W] of images, by their places."""
        raise NotImplementedError

    def read(self, outputs: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Labels or codes [H, W] of an image, from what an exported network gives for it."""
        raise NotImplementedError

    def count(self, prediction: Tensor, mask: Tensor) -> tuple[float, bool]:
        """Add an image; gives the first metric of it alone, and whether anything in it counts."""
        raise NotImplementedError

    def scores(self) -> dict[str, float]:
        """The metrics of all images."""
        raise NotImplementedError

    def truth(self, images: MaskedImages, index: int) -> Cells:
        """What an image has in truth."""
        raise NotImplementedError

    def overlay(self, image: Image.Image, cells: Cells, colors: Sequence[Color]) -> Image.Image:
        """A prediction, or the truth, in colour over its image."""
        raise NotImplementedError

    def evaluation(self, **shared: Any) -> MaskEvaluation:
        """The metrics with what was counted; the arguments are those of every `MaskEvaluation`."""
        raise NotImplementedError


class PixelMeasure(Measure):
    """Measures pixels: one confusion matrix of the classes over the pixels of all images, on the CPU."""

    metrics = SEMANTIC

    def __init__(self, classes: SegmentationClasses):
        super().__init__(classes)
        self.matrix = torch.zeros(len(classes.names), len(classes.names), dtype=torch.int64)

    def predict(self, model: Segmenter, images: Sequence[Tensor], views: TestTimeViews) -> Iterable[tuple[int, Tensor]]:
        """Labels."""
        for place, scores in log_probabilities(model, images, views):
            yield place, label_map(scores, *images[place].shape[-2:])[0]

    def read(self, outputs: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Labels."""
        return label_map(outputs[0], *size)[0]

    def count(self, prediction: Tensor, mask: Tensor) -> tuple[float, bool]:
        """By mean IoU."""
        counts = pixel_confusion(prediction, mask, len(self.classes.names)).cpu()
        self.matrix += counts
        self.by_image.append(torch.stack((counts.diagonal(), counts.sum(1), counts.sum(0))).numpy())
        return segmentation_scores(counts)["miou"], bool(counts.any())

    def scores(self) -> dict[str, float]:
        """miou, mean_accuracy and pixel_accuracy, in percent."""
        return segmentation_scores(self.matrix)

    def truth(self, images: MaskedImages, index: int) -> Cells:
        """Labels."""
        return images.labels(index)

    def overlay(self, image: Image.Image, cells: Cells, colors: Sequence[Color]) -> Image.Image:
        """Classes in colour."""
        return overlay(image, cells.astype(np.uint8), colors, clear=self.classes.background)

    def evaluation(self, **shared: Any) -> SegmentEvaluation:
        """With the matrix."""
        return SegmentEvaluation(metrics=self.scores(), matrix=self.matrix, by_image=self.by_image, **shared)


class SegmentMeasure(Measure):
    """Measures segments: matches, misses and false alarms of each class over all images."""

    metrics = PANOPTIC

    def __init__(self, classes: SegmentationClasses):
        super().__init__(classes)
        self.matches = np.zeros((len(classes.names), 4))

    def predict(self, model: Segmenter, images: Sequence[Tensor], views: TestTimeViews) -> Iterable[tuple[int, Tensor]]:
        """Codes of segments."""
        for place, codes, _ in find_segments(model, images, views, self.classes.counted):
            yield place, torch.from_numpy(codes)

    def read(self, outputs: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Codes of segments."""
        _, classes, masks = outputs
        return torch.from_numpy(segments_of(classes, masks, size, self.classes.counted)[0])

    def count(self, prediction: Tensor, mask: Tensor) -> tuple[float, bool]:
        """By PQ."""
        matches = match_segments(prediction.numpy(), mask.cpu().numpy(), len(self.classes.names))
        self.matches += matches
        self.by_image.append(matches)
        return panoptic_scores(matches, self.classes.counted)["pq"], bool(matches.any())

    def scores(self) -> dict[str, float]:
        """pq, sq and rq, and with `_things` and `_stuff`, in percent."""
        return panoptic_scores(self.matches, self.classes.counted)

    def truth(self, images: MaskedImages, index: int) -> Cells:
        """Codes of segments."""
        return images.codes(index)

    def overlay(self, image: Image.Image, cells: Cells, colors: Sequence[Color]) -> Image.Image:
        """Segments in shades of their class's colour."""
        return segment_overlay(image, cells, colors, clear=self.classes.background)

    def evaluation(self, **shared: Any) -> PanopticEvaluation:
        """With the matches."""
        shared |= {"counted": self.classes.counted, "by_image": self.by_image}
        return PanopticEvaluation(metrics=self.scores(), matches=self.matches, **shared)


def measure_of(classes: SegmentationClasses) -> type[Measure]:
    """What is measured of a network with such classes."""
    return SegmentMeasure if classes.panoptic else PixelMeasure
