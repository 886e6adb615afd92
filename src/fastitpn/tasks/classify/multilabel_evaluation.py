"""How good a classifier with several labels for each image is, class by class."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.data.classification.multilabel import MultilabelImages
from fastitpn.data.images.decode import read_image
from fastitpn.models.backbone import FastITPN
from fastitpn.reporting.measure_charts import curves_chart
from fastitpn.reporting.pictures import Item
from fastitpn.reporting.sections import Chart, Gallery, Section, Table
from fastitpn.reporting.tables import metrics_table
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.evaluation import EXAMPLES, MISTAKES, THUMBNAIL_PX
from fastitpn.tasks.classify.metrics import F1, MEAN_AP
from fastitpn.tasks.classify.multilabel_scores import (
    average_precision,
    choice_scores,
    multilabel_scores,
    precision_recall,
    probabilities,
)
from fastitpn.tasks.classify.task import predict_logits
from fastitpn.tasks.evaluation import Evaluation, Headline, rows_of
from fastitpn.training.loaders import evaluation_loader, on_device
from fastitpn.training.loading import worker_errors

if TYPE_CHECKING:
    from lightning_fabric import Fabric


NOT_MEASURED = "AP and F1 are n/a, and the means leave them out"
"""What comes of a class that no image has."""


@dataclass(frozen=True, kw_only=True)
class MultilabelEvaluation(Evaluation):
    """Metrics of a classifier on images with any number of labels.

    Attributes:
        metrics: loss, map and f1, the latter two in percent: means over the classes that there are images of.
        images: What was evaluated: paths and labels.
        probabilities: [n, classes], in the order of `images`.
        thresholds: [classes], probabilities from which on an image has a label.
    """

    images: MultilabelImages
    probabilities: Tensor
    thresholds: Tensor

    def of_images(self, places: Sequence[int]) -> float:
        """Mean AP in percent."""
        chosen = torch.as_tensor(places)
        return 100 * average_precision(self.probabilities[chosen], self.truth[chosen]).nanmean().item()

    @property
    def truth(self) -> Tensor:
        """What is right, bool [n, classes]."""
        return torch.from_numpy(self.images.labels) > 0

    @property
    def chosen(self) -> Tensor:
        """What was predicted, bool [n, classes]."""
        return self.probabilities >= self.thresholds

    @property
    def table(self) -> Table:
        """AP, F1 and more of each class, the one of lowest AP first."""
        figures = (average_precision(self.probabilities, self.truth), *choice_scores(self.chosen, self.truth))
        ap, precision, recall, f1 = (
            [None if np.isnan(value) else value for value in figure.tolist()] for figure in figures
        )
        number = self.truth.sum(0).tolist()
        rows = list(zip(self.classes, number, ap, f1, precision, recall, self.thresholds.tolist(), strict=True))
        rows.sort(key=lambda row: (row[2] is None, row[2]))
        return Table(
            "Labels",
            ("class", "images", "AP", "F1", "precision", "recall", "threshold"),
            rows,
            caption=self.images.describe_absent(NOT_MEASURED),
            bars=("AP", "F1"),
        )

    def per_class(self) -> list[dict[str, Any]]:
        """AP, F1, threshold and more of each class, plain types."""
        return rows_of(self.table)

    def tables(self) -> list[Table]:
        """The classes, and the metrics."""
        return [self.table, metrics_table(self.metrics)]

    def headlines(self, note: str = "percent") -> list[Headline]:
        """Mean AP and F1."""
        return [(metric.title, round(self.metrics[metric.name], 1), note) for metric in (MEAN_AP, F1)]

    def summary(self) -> list[Headline]:
        """All metrics."""
        return [*self.headlines(), ("loss", self.metrics["loss"], "")]

    @property
    def curves(self) -> Chart:
        """Precision over recall of each class that images have, the one of lowest AP first."""
        known = dict(zip(self.classes, precision_recall(self.probabilities, self.truth), strict=True))
        named = [(str(row[0]), row[2]) for row in self.table.rows if row[2] is not None]
        rows = [(name, *point) for name, _ in named for point in zip(*map(Tensor.tolist, known[name]), strict=True)]
        return curves_chart(
            "Precision and recall",
            "precision_recall",
            {f"{name} {ap:.2f}": (known[name][1].numpy(), known[name][2].numpy()) for name, ap in named},
            ("recall", "precision"),
            numbers=Table("Precision and recall", ("class", "threshold", "recall", "precision"), rows),
            caption="A curve for each class, with its AP; those of the lowest AP have a colour.",
        )

    def sections(self) -> list[Section]:
        """Predictions, metrics by class and the worst mistakes, for a report."""
        predictions = Gallery("Predictions", self.examples(), "Spread evenly over the images.")
        parts: list[Section] = [predictions, self.table, self.curves]
        mistakes = self.worst_mistakes()
        if mistakes:
            parts.append(Gallery("Worst mistakes", mistakes, "The images of the highest loss."))
        return parts

    def examples(self, most: int = EXAMPLES) -> list[Item]:
        """Images spread over all of them, with their labels."""
        step = max(1, -(-len(self.images) // most))
        return [self._item(i) for i in range(0, len(self.images), step)]

    def worst_mistakes(self, most: int = MISTAKES) -> list[Item]:
        """Images with a label too many or too few, those of the highest loss first."""
        wrong = (self.chosen != self.truth).any(1)
        loss = F.binary_cross_entropy(self.probabilities, self.truth.double(), reduction="none").mean(1)
        order = loss.argsort(descending=True)
        return [self._item(i) for i in order[wrong[order]][:most].tolist()]

    def _item(self, i: int) -> Item:
        truth, chosen = self.truth[i], self.chosen[i]
        named = [(f"{self._names(chosen & truth)}", ""), (self._names(chosen & ~truth), "not ")]
        caption = ", ".join(f"{prefix}{names}" for names, prefix in named if names) or "none"
        missed = self._names(truth & ~chosen)
        caption += f"; missed: {missed}" if missed else ""
        return Item(read_image(self.images.paths[i], min_px=THUMBNAIL_PX), caption, bool((truth == chosen).all()))

    def _names(self, which: Tensor) -> str:
        return ", ".join(self.classes[place] for place in which.nonzero().flatten().tolist())


def evaluate_multilabel(
    classifier: Trained[FastITPN, ClassifierDescription],
    images: MultilabelImages,
    fabric: "Fabric",
    *,
    batch: int = 64,
    workers: int = 0,
) -> MultilabelEvaluation:
    """Evaluate a classifier, at its own thresholds, on images whose classes are in its order.

    Args:
        classifier: The trained model; it moves to the device.
        images: Labelled images whose classes are those of the classifier, in its order.
        fabric: Device and precision to compute with.
        batch: Images in one batch.
        workers: Processes that load images.
    """
    about, started = classifier.about, time.perf_counter()
    assert about.thresholds is not None
    model = classifier.model.to(fabric.device)
    loader = evaluation_loader(images, about.px, about.mean, about.std, batch=batch, workers=workers)
    with worker_errors(), torch.inference_mode(), fabric.autocast():
        logits, labels = predict_logits(on_device(loader, fabric), model)
    thresholds = torch.tensor(about.thresholds, dtype=torch.float64)
    return MultilabelEvaluation(
        metrics=multilabel_scores(logits, labels, thresholds),
        classes=list(about.classes),
        num_images=len(images),
        images=images,
        probabilities=probabilities(logits),
        thresholds=thresholds,
        seconds=time.perf_counter() - started,
    )
