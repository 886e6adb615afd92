"""`fastitpn evaluate` for detection: COCO's figures of boxes and masks, class by class."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from fastitpn.config import to_yaml
from fastitpn.data.detection.datasets import DetectEvaluationDataset, collate_detect
from fastitpn.data.detection.images import Annotations, DetectionImages, detection_images
from fastitpn.data.detection.transforms import DetectEval
from fastitpn.data.images.decode import read_image
from fastitpn.data.segmentation.classes import distinct_colors
from fastitpn.files import write_text
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.overlays import side_by_side
from fastitpn.reporting.pictures import Item
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Gallery, Grid, Picture, Section, Table
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.timing import evaluation_time, timing_section
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.runs.trained_model import TrainedCheckpoint, check_unused
from fastitpn.tasks.detect.heads.base import Detections
from fastitpn.tasks.detect.mistakes import Mistake, draw_mistakes, find_mistakes, worst
from fastitpn.tasks.detect.pictures import Thing, draw_things
from fastitpn.tasks.detect.scores import CocoScores, encode_masks
from fastitpn.tasks.detect.tables import KINDS, ap_table, class_table
from fastitpn.tasks.detect.trained import TrainedDetector, load_detector
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.segment.config import MasksConfig, ViewsConfig
from fastitpn.training.loaders import WORKERS_FROM_BATCHES, cache_mib, on_device
from fastitpn.training.loading import worker_errors
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.progress import ProgressDisplay

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from fastitpn.reporting.values import Value

RESULTS = "detections.json"
EXAMPLES = 8
"""Images with truth and prediction in a report."""
MIN_SCORE = 0.5
"""Least score of what is drawn there."""
_EXAMPLE_PX = 480


@dataclass(frozen=True, kw_only=True)
class DetectEvaluation:
    """Figures of a detector on images with annotations.

    Attributes:
        metrics: box_ap, box_ap50, box_ap75, ..., and with masks mask_ap and so on, in percent.
        classes: Names.
        class_metrics: The same for each class; without those that are nowhere.
        class_counts: Number of things of each class.
        results: Everything that was found, in the format of COCO's results.
        num_images: How many images.
        examples: Some of them: truth and prediction side by side.
        mistakes: What it was most sure of and is not there, and the largest things that it missed.
        min_score: Least score of what is drawn.
        seconds: How long it took.
    """

    metrics: dict[str, float]
    classes: list[str]
    class_metrics: dict[str, dict[str, float]]
    class_counts: dict[str, int]
    results: list[dict[str, Any]]
    num_images: int
    examples: list[Picture]
    mistakes: list[Item]
    min_score: float = MIN_SCORE
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Figures as plain types."""
        return {
            "metrics": self.metrics,
            "num_images": self.num_images,
            "classes": self.classes,
            "per_class": [
                {"class": name, "things": self.class_counts[name], **self.class_metrics.get(name, {})}
                for name in self.classes
            ],
        }

    def tables(self) -> list[Table]:
        """All figures, and those of each class."""
        return [ap_table(self.metrics), class_table(self.class_metrics, self.class_counts)]

    def sections(self) -> list[Section]:
        """The examples, the tables and the worst mistakes, for a report."""
        halves = f"Left what is there, right what was found with a score from {self.min_score:g} on"
        examples = Grid("What is there, and what was found", self.examples, f"{halves}; spread over the images.")
        caption = "What it was most sure of and is not there, and the largest things that it missed."
        return [
            examples,
            *self.tables(),
            *([Gallery("Worst mistakes", self.mistakes, caption)] if self.mistakes else []),
        ]


def main_figures(metrics: Mapping[str, float], note: str = "percent") -> "list[tuple[str, Value, str]]":
    """The figures on top of a report: AP of boxes and of masks."""
    return [(f"{kind} AP", round(metrics[f"{kind}_ap"], 1), note) for kind in KINDS if f"{kind}_ap" in metrics]


def evaluate_detector(
    detector: TrainedDetector,
    images: DetectionImages,
    fabric: "Fabric",
    *,
    min_score: float = MIN_SCORE,
    workers: int = 0,
    progress: bool = False,
) -> DetectEvaluation:
    """Evaluate a detector on images with the labels of its classes.

    Args:
        detector: Of `load_detector`; its model moves to the device.
        images: With the classes of the network, as `detection_images(..., classes=those of the network)`.
        fabric: Where to compute.
        min_score: Least score of what is drawn in the examples, and of mistakes.
        workers: Processes that load images.
        progress: Show a bar, if this is a terminal.
    """
    model = detector.model.to(fabric.device)
    loader = detection_loader(
        images, detector.px, detector.max_px, detector.mean, detector.std, batch=1, workers=workers
    )
    shown = set(range(0, len(images), max(1, -(-len(images) // EXAMPLES))))
    examples: list[Picture] = []
    mistakes: list[Mistake] = []
    names, paths = images.classes.names, images.paths
    scores = CocoScores(images.classes)
    started = time.perf_counter()
    display = ProgressDisplay("evaluating", step=0, steps=len(images), enabled=progress)
    with worker_errors(), torch.inference_mode(), fabric.autocast(), display:
        for number, batch in enumerate(on_device(loader, fabric)):
            [found] = model.detect(batch["image"], batch["size"])
            scores.add(batch, [found])
            mistakes = worst(
                [*mistakes, *find_mistakes(paths[number], images.annotations(number), found, names, min_score)]
            )
            if number in shown:
                examples.append(_example(images, number, found, min_score))
            display.advance(number + 1)
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    return DetectEvaluation(
        metrics=scores.figures(),
        classes=list(images.classes.names),
        class_metrics=scores.class_figures(),
        class_counts=dict(zip(images.classes.names, counts, strict=True)),
        results=scores.results(),
        num_images=len(images),
        examples=examples,
        min_score=min_score,
        seconds=time.perf_counter() - started,
        mistakes=draw_mistakes(mistakes, names),
    )


def detection_loader(
    images: DetectionImages,
    px: int,
    max_px: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    batch: int,
    workers: int,
) -> DataLoader[Any]:
    """Images with what is in them, in their order, nothing random."""
    transform = DetectEval(px=px, max_px=max_px, mean=mean, std=std)
    return DataLoader(
        DetectEvaluationDataset(images, transform, cache_mib=cache_mib(workers)),
        batch_size=batch,
        num_workers=workers if len(images) > WORKERS_FROM_BATCHES * batch else 0,
        collate_fn=collate_detect,
        generator=torch.Generator(),  # else making an iterator draws from the run's
    )


def folder_of_images(images: Path | None, data: Path) -> Path | None:
    """The folder of images that a command asks for: inside of its data if it is there, else as it was typed."""
    if images is None:
        return None
    inside = (data if data.is_dir() else data.parent) / images
    return inside if inside.is_dir() else images


def run_evaluate_detect(config: EvaluateConfig, checkpoint: TrainedCheckpoint) -> DetectEvaluation:
    """Evaluate a checkpoint on a folder, print the figures and write them to `out`.

    Raises:
        InputError: The checkpoint, the data or the folder `out` is wrong.
    """
    check_unused(config, checkpoint, MasksConfig, ViewsConfig, but=("images", "on_error"))
    check_no_run(config.out)
    detector = load_detector(checkpoint, config.acceleration).at(config.px, config.max_px)
    images = detection_images(
        config.data,
        images=folder_of_images(config.images, config.data),
        classes=detector.classes,
        on_error=config.on_error,
        with_masks=None if detector.model.has_masks else False,
    )
    make_folder(config.out)
    fabric = build_fabric(config.device, precision=config.precision)
    evaluation = evaluate_detector(
        detector, images, fabric, min_score=config.min_score, workers=config.workers, progress=True
    )
    for table in evaluation.tables():
        print_table(table)
    acceleration = detector.model.backbone.acceleration
    figures = {**evaluation.to_json(), "acceleration": acceleration.to_dict()}
    write_text(config.out / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    write_text(config.out / RESULTS, json.dumps(evaluation.results) + "\n")
    write_report(
        config.out / "report.html",
        title="Evaluation",
        summary=[
            *main_figures(evaluation.metrics),
            ("images", len(images), f"{len(evaluation.classes)} classes"),
            acceleration_figure(acceleration),
        ],
        sections=[
            *evaluation.sections(),
            *timing_section(evaluation_time(evaluation.seconds, len(images))),
            Code("Configuration", to_yaml(config)),
            Facts("Environment", describe_environment(fabric.device)),
        ],
    )
    print(f"written: {config.out / 'evaluation.json'}, {config.out / RESULTS} and {config.out / 'report.html'}")
    return evaluation


def _example(images: DetectionImages, number: int, found: Detections, min_score: float) -> Picture:
    path = images.paths[number]
    image = read_image(path)
    names, colors = images.classes.names, distinct_colors(images.classes.names)
    truth = _true_things(images.annotations(number), names, colors)
    kept = [place for place, score in enumerate(found["scores"].tolist()) if score >= min_score]
    masks: list[Any] = encode_masks(found["masks"][kept]) if "masks" in found else [None] * len(kept)
    things = []
    for place, mask in zip(kept, masks, strict=True):
        label = int(found["labels"][place])
        left, top, right, bottom = found["boxes"][place].tolist()
        things.append(
            Thing(
                (left, top, right, bottom), f"{names[label]} {float(found['scores'][place]):.2f}", colors[label], mask
            )
        )
    drawn = [draw_things(image, some, px=_EXAMPLE_PX) for some in (truth, things)]
    return Picture(path.name, side_by_side(drawn, drawn[0].height))


def _true_things(annotations: Annotations, names: Sequence[str], colors: Sequence[Any]) -> list[Thing]:
    masks: Sequence[Any] = annotations.masks or [None] * len(annotations)
    return [
        Thing((box[0], box[1], box[2], box[3]), f"{names[label]}{' (crowd)' * crowd}", colors[label], mask)
        for box, label, crowd, mask in zip(
            annotations.boxes.tolist(), annotations.labels.tolist(), annotations.crowd.tolist(), masks, strict=True
        )
    ]
