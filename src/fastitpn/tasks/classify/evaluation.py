"""`fastitpn evaluate`: how good a trained model is, class by class. The checkpoint says for which task."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fastitpn.config import to_yaml
from fastitpn.config.detections import DetectionsConfig
from fastitpn.config.masks import MasksConfig, ViewsConfig
from fastitpn.config.runs import EvaluateConfig
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.folders import LabelledImages, labelled
from fastitpn.data.images.readable import check_readable
from fastitpn.files import write_text
from fastitpn.reporting.charts import confusion_matrix as draw_confusion
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.pictures import Item
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Gallery, Picture, Section
from fastitpn.reporting.tables import metrics_table, per_class_table, print_table
from fastitpn.reporting.timing import evaluation_time, timing_section
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.runs.trained_model import TrainedClassifier, check_unused, load_classifier, open_checkpoint
from fastitpn.tasks.classify.task import confusion_matrix, predict_logits, scores
from fastitpn.tasks.detect.evaluation import DetectEvaluation, run_evaluate_detect
from fastitpn.tasks.segment.evaluation import SegmentEvaluation, run_evaluate_segment
from fastitpn.tasks.segment.panoptic_evaluation import PanopticEvaluation
from fastitpn.training.loaders import evaluation_loader, on_device
from fastitpn.training.loading import worker_errors
from fastitpn.training.processes.devices import build_fabric

if TYPE_CHECKING:
    from lightning.fabric import Fabric

EXAMPLES, MISTAKES = 18, 24
"""Pictures of predictions and of the worst mistakes in a report."""
_THUMBNAIL_PX = 320


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures of a classifier on labelled images.

    Attributes:
        metrics: loss, top1 and (from six classes on) top5, the latter two in percent.
        classes: Names.
        matrix: [classes, classes] counts; row is the true class, column the predicted one.
        images: What was evaluated.
        probabilities: [n, classes], in the order of `images`.
        seconds: How long it took.
    """

    metrics: dict[str, float]
    classes: list[str]
    matrix: Tensor
    images: LabelledImages
    probabilities: Tensor
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Figures as plain types."""
        rows = per_class_table(self.matrix.numpy(), self.classes)
        return {
            "metrics": self.metrics,
            "num_images": len(self.images),
            "classes": self.classes,
            "per_class": [dict(zip(rows.columns, row, strict=True)) for row in rows.rows],
            "confusion_matrix": self.matrix.tolist(),
        }

    def sections(self) -> list[Section]:
        """Predictions, confusion matrix, figures by class and the worst mistakes, for a report."""
        drawing = draw_confusion(self.matrix.numpy(), self.classes)
        parts: list[Section] = [
            Gallery("Predictions", self.examples(), "Spread evenly over the images."),
            Picture("Confusion matrix", drawing, "Rows are the true classes, columns the predicted ones."),
            per_class_table(self.matrix.numpy(), self.classes),
        ]
        mistakes = self.worst_mistakes()
        if mistakes:
            parts.append(Gallery("Worst mistakes", mistakes, "Wrong, and most sure of it."))
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
        return Item(read_image(self.images.paths[i], min_px=_THUMBNAIL_PX), caption, right)


def evaluate_classifier(
    classifier: TrainedClassifier,
    images: LabelledImages,
    fabric: "Fabric",
    *,
    px: int | None = None,
    batch: int = 64,
    workers: int = 0,
) -> Evaluation:
    """Evaluate a classifier on images whose classes are in its order.

    Args:
        classifier: Of `load_classifier`; its model moves to the device.
        images: As `folders.labelled(..., classes=those of the classifier)`.
        fabric: Where to compute.
        px: Side of the input; None for the classifier's.
        batch: Images in one batch.
        workers: Processes that load images.

    Raises:
        ValueError: The images' classes are others, or in another order.
    """
    if tuple(images.classes) != tuple(classifier.classes):
        raise ValueError(f"images of the classes {images.classes} for a classifier of {list(classifier.classes)}")
    started = time.perf_counter()
    model = classifier.model.to(fabric.device)
    loader = evaluation_loader(
        images, px or classifier.px, classifier.mean, classifier.std, batch=batch, workers=workers
    )
    with worker_errors(), fabric.autocast():
        logits, labels = predict_logits(on_device(loader, fabric), model)
    return Evaluation(
        metrics=scores(logits, labels),
        classes=list(classifier.classes),
        matrix=confusion_matrix(logits, labels),
        images=images,
        probabilities=logits.softmax(1),
        seconds=time.perf_counter() - started,
    )


def run_evaluate(config: EvaluateConfig) -> Evaluation | SegmentEvaluation | PanopticEvaluation | DetectEvaluation:
    """Evaluate a checkpoint of any task on its data, print the figures and write them to `out`.

    Raises:
        InputError: The checkpoint, the data or the folder `out` is wrong.
    """
    checkpoint = open_checkpoint(config.checkpoint)
    if checkpoint.task == "segment":
        return run_evaluate_segment(config, checkpoint)
    if checkpoint.task == "detect":
        return run_evaluate_detect(config, checkpoint)
    check_unused(config, checkpoint, MasksConfig, ViewsConfig, DetectionsConfig)
    check_no_run(config.out)
    classifier = load_classifier(checkpoint, config.acceleration)
    images = labelled(config.data, classifier.classes)
    check_readable(images.paths)
    make_folder(config.out)
    fabric = build_fabric(config.device, precision=config.precision)
    evaluation = evaluate_classifier(
        classifier, images, fabric, px=config.px, batch=config.batch, workers=config.workers
    )
    print_table(per_class_table(evaluation.matrix.numpy(), evaluation.classes))
    print_table(metrics_table(evaluation.metrics))
    figures = {**evaluation.to_json(), "acceleration": classifier.model.acceleration.to_dict()}
    write_text(config.out / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    write_report(
        config.out / "report.html",
        title="Evaluation",
        summary=[
            (name, value, "percent" if name.startswith("top") else "") for name, value in evaluation.metrics.items()
        ]
        + [
            ("images", len(images), f"{len(evaluation.classes)} classes"),
            acceleration_figure(classifier.model.acceleration),
        ],
        sections=[
            *evaluation.sections(),
            *timing_section(evaluation_time(evaluation.seconds, len(images))),
            Code("Configuration", to_yaml(config)),
            Facts("Environment", describe_environment(fabric.device)),
        ],
    )
    print(f"written: {config.out / 'evaluation.json'} and {config.out / 'report.html'}")
    return evaluation
