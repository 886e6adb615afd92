"""How good a classifier is, class by class."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fastitpn.data.classification.labelled import LabelledImages
from fastitpn.data.images.decode import read_image
from fastitpn.models.backbone import FastITPN
from fastitpn.reporting.measure_charts import calibration_chart, confusion_chart
from fastitpn.reporting.pictures import Item
from fastitpn.reporting.sections import Gallery, Section, Table
from fastitpn.reporting.tables import metrics_table, per_class_table
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.classify.calibration import BINS, Calibration, calibration
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.metrics import ECE
from fastitpn.tasks.classify.task import confusion_matrix, predict_logits, scores
from fastitpn.tasks.evaluation import Evaluation, Headline, rows_of
from fastitpn.tasks.largest_class import LargestClass
from fastitpn.training.loaders import evaluation_loader, on_device
from fastitpn.training.loading import worker_errors

if TYPE_CHECKING:
    from lightning_fabric import Fabric

EXAMPLES, MISTAKES = 18, 24
"""Pictures of predictions and of the worst mistakes in a report."""
THUMBNAIL_PX = 320
_ENOUGH_IMAGES = 10
"""Of fewer nothing is said."""


@dataclass(frozen=True, kw_only=True)
class ClassifyEvaluation(Evaluation):
    """Metrics of a classifier on labelled images.

    Attributes:
        metrics: loss, top1 and (from six classes on) top5, the latter two in percent.
        matrix: [classes, classes] counts; row is the true class, column the predicted one.
        images: What was evaluated: paths and labels.
        probabilities: [n, classes], in the order of `images`.
    """

    matrix: Tensor
    images: LabelledImages
    probabilities: Tensor

    def of_images(self, places: Sequence[int]) -> float:
        """Top-1 accuracy in percent."""
        chosen = torch.as_tensor(places)
        hits = self.probabilities[chosen].argmax(1) == torch.tensor(self.images.labels)[chosen]
        return 100 * hits.double().mean().item()

    @property
    def table(self) -> Table:
        """Accuracy and precision of each class."""
        return per_class_table(self.matrix.numpy(), self.classes)

    def per_class(self) -> list[dict[str, Any]]:
        """Accuracy and precision of each class, plain types."""
        return rows_of(self.table)

    @property
    def calibration(self) -> Calibration:
        """Whether the model is as often right as it is sure."""
        return calibration(self.probabilities, torch.tensor(self.images.labels))

    def right_answers(self) -> int:
        """How many images the model gives their class."""
        return int(self.matrix.diagonal().sum())

    @property
    def largest_class(self) -> LargestClass:
        """The class with most images: what answering it always would score."""
        return LargestClass(matrix=self.matrix, classes=self.classes, unit="images", metric="accuracy")

    def tables(self) -> list[Table]:
        """The classes, and the metrics."""
        more = {ECE.name: self.calibration.error, **self.largest_class.row()}
        return [self.table, metrics_table({**self.metrics, **more})]

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        largest = self.largest_class.to_json()
        measured = self.calibration
        return {
            **super().to_json(),
            "largest_class": largest,
            "confusion_matrix": self.matrix.tolist(),
            "calibration": {ECE.name: measured.error, "bins": list(measured.bins)},
        }

    def headlines(self, note: str = "percent") -> list[Headline]:
        """Top-1 accuracy, and what the largest class alone would give."""
        return [("top-1 accuracy", round(self.metrics["top1"], 1), note), self.largest_class.headline()]

    def summary(self) -> list[Headline]:
        """All metrics."""
        metrics: list[Headline] = [
            (name, value, "percent" if name.startswith("top") else "") for name, value in self.metrics.items()
        ]
        ece = (ECE.title, self.calibration.error, f"percent, {BINS} bins")
        return [*metrics, ece, self.largest_class.headline()]

    def warnings(self) -> list[str]:
        """That the model answers the same class almost always, or is no better than if it did."""
        return self.largest_class.warnings() if self.num_images >= _ENOUGH_IMAGES else []

    def sections(self) -> list[Section]:
        """Predictions, confusion matrix, metrics by class and the worst mistakes, for a report."""
        words = "Rows are the true classes, columns the predicted ones."
        below = "On the dashed line a confidence of 0.8 is right in 80 % of the cases; grey: images in each bin."
        parts: list[Section] = [
            Gallery("Predictions", self.examples(), "Spread evenly over the images."),
            confusion_chart(self.matrix.numpy(), self.classes, words),
            self.table,
            calibration_chart(self.calibration.bins, f"{below} {ECE.title}: {self.calibration.error:.1f} %."),
        ]
        mistakes = self.worst_mistakes()
        if mistakes:
            parts.append(Gallery("Worst mistakes", mistakes, "Wrong with the highest confidence."))
        return parts

    def examples(self, most: int = EXAMPLES) -> list[Item]:
        """Images spread over all of them, with what they were taken for."""
        step = max(1, -(-len(self.images) // most))
        return [self._item(i) for i in range(0, len(self.images), step)]

    def worst_mistakes(self, most: int = MISTAKES) -> list[Item]:
        """Images whose wrong class got the highest probability."""
        labels = torch.tensor(self.images.labels)
        sure, predicted = self.probabilities.max(1)
        wrong = torch.nonzero(predicted != labels).flatten()
        order = wrong[sure[wrong].argsort(descending=True)][:most].tolist()
        return [self._item(i) for i in order]

    def _item(self, i: int) -> Item:
        sure, predicted = self.probabilities[i].max(0)
        right = int(predicted) == self.images.labels[i]
        caption = f"{self.classes[int(predicted)]} ({sure:.0%})"
        caption += "" if right else f", is {self.classes[self.images.labels[i]]}"
        return Item(read_image(self.images.paths[i], min_px=THUMBNAIL_PX), caption, right)


def evaluate_classifier(
    classifier: Trained[FastITPN, ClassifierDescription],
    images: LabelledImages,
    fabric: "Fabric",
    *,
    batch: int = 64,
    workers: int = 0,
) -> ClassifyEvaluation:
    """Evaluate a classifier on images whose classes are in its order.

    Args:
        classifier: The trained model; it moves to the device.
        images: Labelled images whose classes are those of the classifier, in its order.
        fabric: Device and precision to compute with.
        batch: Images in one batch.
        workers: Processes that load images.

    Raises:
        ValueError: The images' classes are others, or in another order.
    """
    about = classifier.about
    if tuple(images.classes) != about.classes:
        raise ValueError(f"images of the classes {images.classes} for a classifier of {list(about.classes)}")
    started = time.perf_counter()
    model = classifier.model.to(fabric.device)
    loader = evaluation_loader(images, about.px, about.mean, about.std, batch=batch, workers=workers)
    with worker_errors(), torch.inference_mode(), fabric.autocast():
        logits, labels = predict_logits(on_device(loader, fabric), model)
    return ClassifyEvaluation(
        metrics=scores(logits, labels),
        classes=list(about.classes),
        num_images=len(images),
        matrix=confusion_matrix(logits, labels),
        images=images,
        probabilities=logits.softmax(1),
        seconds=time.perf_counter() - started,
    )
