"""What an evaluation of a segmentation network gives: metrics, tables and pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fastitpn.data.segmentation.classes import Color, is_background
from fastitpn.reporting.measure_charts import confusion_chart
from fastitpn.reporting.overlays import with_legend
from fastitpn.reporting.sections import Grid, Picture, Section, Table
from fastitpn.reporting.tables import metrics_table
from fastitpn.tasks.evaluation import Evaluation, Headline, rows_of
from fastitpn.tasks.largest_class import LargestClass
from fastitpn.tasks.segment.metrics import MIOU, PIXEL_ACCURACY
from fastitpn.tasks.segment.tables import iou_table
from fastitpn.training.metric import Metric


@dataclass(frozen=True, kw_only=True)
class MaskEvaluation(Evaluation):
    """Metrics of a segmentation network on images with masks, at the original size of the images.

    Attributes:
        colors: Colour of each class, in the order of the labels.
        examples: Some of the images: image, truth and prediction side by side.
        worst: The images with the lowest metric, with their titles and masks.
        columns: What stands side by side.
        main: The metrics on top of the report of a run.
        lowest: What is low for the worst images.
        by_image: What was counted in each image: of pixels [3, classes] hits, true and predicted ones.
    """

    columns: ClassVar[str]
    main: ClassVar[tuple[Metric, Metric]]
    lowest: ClassVar[str]

    colors: tuple[Color, ...]
    examples: list[Picture]
    worst: list[Picture]
    by_image: Sequence[NDArray[Any]] = ()

    @property
    def table(self) -> Table:
        """Metrics by class."""
        raise NotImplementedError

    def more_sections(self) -> Sequence[Section]:
        """What stands between the classes and the worst images."""
        return ()

    def per_class(self) -> list[dict[str, Any]]:
        """Metrics by class, plain types."""
        return rows_of(self.table)

    def tables(self) -> list[Table]:
        """The classes, and the metrics."""
        return [self.table, metrics_table(self.metrics)]

    def headlines(self, note: str = "percent") -> list[Headline]:
        """The two main metrics."""
        notes = (note, "percent")
        return [
            (metric.title, round(self.metrics[metric.name], 1), text)
            for metric, text in zip(self.main, notes, strict=True)
        ]

    def sections(self) -> list[Section]:
        """Examples with what their colours mean, metrics by class and the worst images, for a report."""
        entries = [
            (None if is_background(name) else color, name)
            for color, name in zip(self.colors, self.classes, strict=True)
        ]
        legend = with_legend(Image.new("RGB", (320, 1)), entries)
        return [
            Picture("Colours", legend),
            Grid(self.columns, self.examples, "Spread evenly over the images."),
            self.table,
            *self.more_sections(),
            Grid("Worst images", self.worst, f"With the lowest {self.lowest}: {self.columns.lower()}."),
        ]


@dataclass(frozen=True, kw_only=True)
class SegmentEvaluation(MaskEvaluation):
    """Metrics of the classes of pixels.

    Attributes:
        metrics: miou, mean_accuracy and pixel_accuracy, in percent.
        matrix: [classes, classes] counts of pixels; row is the true class, column the predicted one.
    """

    columns = "Image, mask, prediction"
    main = (MIOU, PIXEL_ACCURACY)
    lowest = "mean IoU"

    matrix: Tensor

    def of_images(self, places: Sequence[int]) -> float:
        """Mean IoU in percent."""
        hits, true, predicted = np.stack([self.by_image[place] for place in places]).sum(0, dtype=np.float64)
        there = true + predicted - hits > 0
        return 100 * float((hits[there] / (true + predicted - hits)[there]).mean()) if there.any() else math.nan

    @property
    def table(self) -> Table:
        """IoU and accuracy of each class."""
        return iou_table(self.matrix.numpy(), self.classes)

    @property
    def largest_class(self) -> LargestClass:
        """The class with most pixels: what answering it always would score."""
        return LargestClass(
            matrix=self.matrix, classes=self.classes, unit="pixels", metric=PIXEL_ACCURACY.title.lower(), uneven=True
        )

    def tables(self) -> list[Table]:
        """The classes, and the metrics."""
        return [self.table, metrics_table({**self.metrics, **self.largest_class.row()})]

    def headlines(self, note: str = "percent") -> list[Headline]:
        """The two main metrics, and what the largest class alone would give."""
        return [*super().headlines(note), self.largest_class.headline()]

    def summary(self) -> list[Headline]:
        """All metrics."""
        return [*super().summary(), self.largest_class.headline()]

    def warnings(self) -> list[str]:
        """That the model answers the same class almost always, or is no better than if it did."""
        return self.largest_class.warnings()

    def more_sections(self) -> list[Section]:
        """The confusion matrix."""
        counts = self.matrix.double().numpy()
        percent = 100 * counts / counts.sum(1, keepdims=True).clip(min=1)
        return [
            confusion_chart(
                percent,
                self.classes,
                "Percent of the pixels of the true class, in rows, that were given to each class, in columns.",
            )
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        largest = self.largest_class.to_json()
        return {**super().to_json(), "largest_class": largest, "confusion_matrix": self.matrix.tolist()}
