"""How good a detector is: COCO's average precision of boxes and masks, class by class."""

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from fastitpn.data.chunks import TOGETHER
from fastitpn.data.detection.annotations import Annotations, DetectionImages
from fastitpn.data.detection.datasets import DetectEvaluationDataset, collate_detect
from fastitpn.data.detection.transforms import DetectEval
from fastitpn.data.images.decode import read_image
from fastitpn.data.segmentation.classes import distinct_colors
from fastitpn.reporting.overlays import side_by_side
from fastitpn.reporting.pictures import Item
from fastitpn.reporting.sections import Gallery, Grid, Picture, Section, Table
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.detect.charts import detection_charts, threshold_table
from fastitpn.tasks.detect.config import MIN_SCORE
from fastitpn.tasks.detect.description import DetectorDescription
from fastitpn.tasks.detect.heads.base import Detections, Detector
from fastitpn.tasks.detect.metrics import MAIN
from fastitpn.tasks.detect.mistakes import Mistake, draw_mistakes, find_mistakes, worst
from fastitpn.tasks.detect.pictures import DrawnInstance, draw_instances
from fastitpn.tasks.detect.scores import CocoScores, encode_masks
from fastitpn.tasks.detect.tables import ap_table, class_table
from fastitpn.tasks.detect.task import detect_all, view_all
from fastitpn.tasks.detect.thresholds import Thresholds, by_threshold
from fastitpn.tasks.detect.views import DetectViews
from fastitpn.tasks.evaluation import Evaluation, Headline, rows_of
from fastitpn.training.loaders import WORKERS_FROM_BATCHES, cache_mib, on_device
from fastitpn.training.loading import ImageLoader, worker_errors
from fastitpn.training.progress import ProgressDisplay

if TYPE_CHECKING:
    from lightning_fabric import Fabric

RESULTS = "detections.json"
EXAMPLES = 8
"""Images with truth and prediction in a report."""
_EXAMPLE_PX = 480


@dataclass(frozen=True, kw_only=True)
class DetectEvaluation(Evaluation):
    """Metrics of a detector on images with annotations.

    Attributes:
        metrics: box_ap, box_ap50, box_ap75, ..., and with masks mask_ap and so on, in percent.
        class_metrics: box_ap, box_ap50 and those of masks of each class; without classes that no image has.
        class_counts: Number of objects of each class.
        results: All detections, in the format of COCO's results.
        examples: Some images: truth and prediction side by side.
        mistakes: The surest detections of what is not there, and the largest objects that it missed.
        min_score: Least score of what is drawn.
        scores: Annotations and detections, image by image.
    """

    resampled = "groups"

    class_metrics: dict[str, dict[str, float]]
    class_counts: dict[str, int]
    results: list[dict[str, Any]]
    examples: list[Picture]
    mistakes: list[Item]
    min_score: float = MIN_SCORE
    scores: CocoScores

    def of_images(self, places: Sequence[int]) -> float:
        """AP in percent, of masks where there are any."""
        metrics = self.scores.select(places).figures()
        return metrics[next(metric.name for metric in reversed(MAIN) if metric.name in metrics)]

    def per_class(self) -> list[dict[str, Any]]:
        """Number of objects and average precision of each class."""
        return [
            {"class": name, "things": self.class_counts[name], **self.class_metrics.get(name, {})}
            for name in self.classes
        ]

    @functools.cached_property
    def thresholds(self) -> Thresholds:
        """What is found at each least score, of boxes at an overlap of 0.5."""
        return by_threshold(self.scores.truth, self.scores.results(), self.classes)

    def tables(self) -> list[Table]:
        """All metrics, those of each class, and the best thresholds."""
        by_class = class_table(self.class_metrics, self.class_counts)
        return [ap_table(self.metrics), by_class, threshold_table(self.thresholds)]

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {**super().to_json(), "thresholds": rows_of(threshold_table(self.thresholds))}

    def headlines(self, note: str = "percent") -> list[Headline]:
        """AP of boxes and of masks."""
        return [
            (metric.label, round(self.metrics[metric.name], 1), note) for metric in MAIN if metric.name in self.metrics
        ]

    def summary(self) -> list[Headline]:
        """AP of boxes and of masks."""
        return self.headlines()

    def files(self) -> dict[str, Any]:
        """All detections, as COCO's tools read them."""
        return {RESULTS: self.results}

    def sections(self) -> list[Section]:
        """The examples, the tables and the worst mistakes, for a report."""
        halves = f"Left the annotations, right the predictions with a score from {self.min_score:g} on"
        examples = Grid("Annotations and predictions", self.examples, f"{halves}; spread over the images.")
        ap50 = {name: row["box_ap50"] for name, row in self.class_metrics.items() if "box_ap50" in row}
        caption = "The most confident wrong detections, and the largest missed objects."
        return [
            examples,
            *self.tables(),
            *detection_charts(self.scores, self.thresholds, ap50),
            *([Gallery("Worst mistakes", self.mistakes, caption)] if self.mistakes else []),
        ]


def evaluate_detector(
    detector: Trained[Detector, DetectorDescription],
    images: DetectionImages,
    fabric: "Fabric",
    *,
    min_score: float = MIN_SCORE,
    views: DetectViews | None = None,
    batch: int = TOGETHER,
    workers: int = 0,
    progress: bool = False,
) -> DetectEvaluation:
    """Evaluate a detector on images with annotations of its classes.

    Args:
        detector: The trained model; it moves to the device.
        images: Annotated images whose classes are those of the detector (`detection_images(..., classes=)`).
        fabric: Device and precision to compute with.
        min_score: Least score of what is drawn in the examples, and of mistakes.
        views: Tiles, scales and mirror images in which they are looked at; None: each once.
        batch: Images that are held at a time; those of one size are looked at together.
        workers: Processes that load images.
        progress: Show a bar, if this is a terminal.
    """
    model = detector.model.to(fabric.device)
    loader = detection_loader(images, detector.about, workers=workers, views=views)
    shown = set(range(0, len(images), max(1, -(-len(images) // EXAMPLES))))
    examples: list[Picture] = []
    mistakes: list[Mistake] = []
    names, paths = images.classes.names, images.paths
    scores = CocoScores(images.classes)
    started = time.perf_counter()
    display = ProgressDisplay("evaluating", step=0, steps=len(images), enabled=progress)
    with worker_errors(), torch.inference_mode(), fabric.autocast(), display:
        samples = on_device(loader, fabric)
        for number, (sample, [detections]) in enumerate(
            detect_all(samples, model, batch) if views is None else view_all(samples, model, views)
        ):
            scores.add(sample, [detections])
            of_image = find_mistakes(paths[number], images.annotations(number), detections, names, min_score)
            mistakes = worst([*mistakes, *of_image])
            if number in shown:
                examples.append(_example(images, number, detections, min_score))
            display.advance(number + 1)
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    return DetectEvaluation(
        metrics=scores.figures(),
        classes=list(names),
        class_metrics=scores.class_figures(),
        class_counts=dict(zip(names, counts, strict=True)),
        results=scores.results(),
        num_images=len(images),
        examples=examples,
        min_score=min_score,
        seconds=time.perf_counter() - started,
        mistakes=draw_mistakes(mistakes, names),
        scores=scores,
    )


def view_of(about: DetectorDescription) -> DetectEval:
    """How a detector looks at an image."""
    return DetectEval(px=about.px, max_px=about.max_px, mean=about.mean, std=about.std)


def detection_loader(
    images: DetectionImages, about: DetectorDescription, *, workers: int, views: DetectViews | None = None
) -> DataLoader[Any]:
    """Images with their annotations one by one in their order, nothing random."""
    return ImageLoader(
        DetectEvaluationDataset(images, views or view_of(about), cache_mib=cache_mib(workers)),
        batch_size=1,
        num_workers=workers if len(images) > WORKERS_FROM_BATCHES else 0,
        collate_fn=collate_detect,
        generator=torch.Generator(),  # else making an iterator draws from the run's
    )


def _example(images: DetectionImages, number: int, detections: Detections, min_score: float) -> Picture:
    """An image with its annotations on the left and its detections on the right."""
    path = images.paths[number]
    image = read_image(path)
    names, colors = images.classes.names, distinct_colors(images.classes.names)
    sure = detections["scores"] >= min_score
    labels, boxes = detections["labels"][sure].tolist(), detections["boxes"][sure].tolist()
    masks: list[Any] = encode_masks(detections["masks"][sure]) if "masks" in detections else [None] * len(labels)
    predicted = [
        DrawnInstance(tuple(box), f"{names[label]} {score:.2f}", colors[label], mask)
        for label, box, score, mask in zip(labels, boxes, detections["scores"][sure].tolist(), masks, strict=True)
    ]
    annotated = _drawn_annotations(images.annotations(number), names, colors)
    drawn = [draw_instances(image, instances, px=_EXAMPLE_PX) for instances in (annotated, predicted)]
    return Picture(path.name, side_by_side(drawn, drawn[0].height))


def _drawn_annotations(annotations: Annotations, names: Sequence[str], colors: Sequence[Any]) -> list[DrawnInstance]:
    masks: Sequence[Any] = annotations.masks or [None] * len(annotations)
    return [
        DrawnInstance(tuple(box), f"{names[label]}{' (crowd)' * crowd}", colors[label], mask)
        for box, label, crowd, mask in zip(
            annotations.boxes.tolist(), annotations.labels.tolist(), annotations.crowd.tolist(), masks, strict=True
        )
    ]
