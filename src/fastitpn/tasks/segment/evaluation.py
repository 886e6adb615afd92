"""`fastitpn evaluate` for segmentation: how good a network is, class by class, at the original size of the images."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fastitpn.config import to_yaml
from fastitpn.data.images.decode import read_image
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.images import MaskedImages, MaskFolders, segmentation_images
from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.reporting.charts import confusion_matrix as draw_confusion
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.overlays import overlay, side_by_side, with_legend
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Grid, Picture, Section, Table
from fastitpn.reporting.tables import iou_table, metrics_table, print_table
from fastitpn.reporting.timing import evaluation_time, timing_section
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.runs.trained_model import TrainedCheckpoint, check_unused
from fastitpn.tasks.detect.config import DetectionsConfig
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.segment.config import SegmentConfig, ViewsConfig
from fastitpn.tasks.segment.panoptic_evaluation import PanopticEvaluation, evaluate_panoptic
from fastitpn.tasks.segment.scores import pixel_confusion, segmentation_scores
from fastitpn.tasks.segment.trained import TrainedSegmenter, load_segmenter
from fastitpn.tasks.segment.views import Views, label_map, log_probabilities
from fastitpn.training.loaders import masked_loader, one_by_one
from fastitpn.training.loading import worker_errors
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.progress import ProgressDisplay

if TYPE_CHECKING:
    from lightning.fabric import Fabric

EXAMPLES, WORST = 12, 6
"""Images with truth and prediction in a report, spread over all and the worst ones."""


@dataclass(frozen=True, kw_only=True)
class SegmentEvaluation:
    """Figures of a segmentation network on images with masks.

    Attributes:
        metrics: miou, mean_accuracy and pixel_accuracy, in percent.
        classes: Names.
        matrix: [classes, classes] counts of pixels; row is the true class, column the predicted one.
        num_images: How many images.
        examples: Some of them: image, truth and prediction side by side.
        worst: Those with the lowest mean IoU, the same way.
        seconds: How long it took.
    """

    metrics: dict[str, float]
    classes: list[str]
    matrix: Tensor
    num_images: int
    examples: list[Picture]
    worst: list[Picture]
    seconds: float = 0.0

    @property
    def table(self) -> Table:
        """Figures by class."""
        return iou_table(self.matrix.numpy(), self.classes)

    def to_json(self) -> dict[str, Any]:
        """Figures as plain types."""
        rows = self.table
        return {
            "metrics": self.metrics,
            "num_images": self.num_images,
            "classes": self.classes,
            "per_class": [dict(zip(rows.columns, row, strict=True)) for row in rows.rows],
            "confusion_matrix": self.matrix.tolist(),
        }

    def sections(self, segmenter: TrainedSegmenter) -> list[Section]:
        """Examples with what their colours mean, figures by class, confusion and the worst images, for a report."""
        colors = list(zip(segmenter.classes.colors, self.classes, strict=True))
        legend = with_legend(Image.new("RGB", (320, 1)), colors)
        counts = self.matrix.double().numpy()
        percent = 100 * counts / counts.sum(1, keepdims=True).clip(min=1)
        return [
            Picture("Colours", legend),
            Grid("Image, mask, prediction", self.examples, "Spread evenly over the images."),
            self.table,
            Picture(
                "Confusion matrix",
                draw_confusion(percent, self.classes),
                "Percent of the pixels of the true class, in rows, that were given to each class, in columns.",
            ),
            Grid("Worst images", self.worst, "With the lowest mean IoU: image, mask, prediction."),
        ]


def evaluate_segmenter(
    segmenter: TrainedSegmenter,
    images: MaskedImages,
    fabric: "Fabric",
    views: Views,
    *,
    workers: int = 0,
    progress: bool = False,
) -> SegmentEvaluation:
    """Evaluate a network on images whose classes are its own.

    Args:
        segmenter: Of `load_segmenter`; its model moves to the device.
        images: With the classes of the network.
        fabric: Where to compute.
        views: How to look at them.
        workers: Processes that load images.
        progress: Show a bar, if this is a terminal.
    """
    classes = list(segmenter.classes.names)
    model = segmenter.model.to(fabric.device)
    matrix = torch.zeros(len(classes), len(classes), dtype=torch.int64)
    shown = set(range(0, len(images), max(1, -(-len(images) // EXAMPLES))))
    examples: list[Picture] = []
    worst: list[tuple[float, int, NDArray[np.uint8]]] = []
    started = time.perf_counter()
    loader = masked_loader(images, segmenter.mean, segmenter.std, workers=workers)
    display = ProgressDisplay("evaluating", step=0, steps=len(images), enabled=progress)
    with worker_errors(), fabric.autocast(), display:
        for number, (image, mask) in enumerate(one_by_one(loader, fabric)):
            labels, _ = label_map(log_probabilities(model, image, views), *mask.shape)
            own = pixel_confusion(labels, mask, len(classes)).cpu()
            matrix += own
            miou, found = segmentation_scores(own)["miou"], labels.cpu().numpy().astype(np.uint8)
            if number in shown:
                examples.append(_example(images, number, found, miou))
            if own.any():  # else all of its mask is to be ignored
                worst = sorted([*worst, (miou, number, found)], key=lambda one: one[:2])[:WORST]
            display.advance(number + 1)
    return SegmentEvaluation(
        metrics=segmentation_scores(matrix),
        classes=classes,
        matrix=matrix,
        num_images=len(images),
        examples=examples,
        seconds=time.perf_counter() - started,
        worst=[_example(images, number, found, miou) for miou, number, found in worst],
    )


def views_of(config: ViewsConfig, segmenter: TrainedSegmenter, px: int | None = None) -> Views:
    """How the keys of a command ask to look at images; what they leave open is as in the training.

    Raises:
        InputError: The stride is longer than a window, or a panoptic network is to look more than once.
    """
    if segmenter.classes.panoptic and (config.inference == "slide" or config.flip or len(config.scales) > 1):
        raise InputError(
            "inference=slide, scales and flip: of no use for a panoptic network, which looks once at the whole image",
            where=segmenter.path,
            expected="px and resize alone",
            fix="leave them out",
        )
    return Views(
        px=px or segmenter.px,
        resize=segmenter.resize if config.resize is None else config.resize,
        inference=config.inference,
        stride=config.stride,
        scales=config.scales,
        flip=config.flip,
        batch=config.window_batch,
    )


def folders_of(config: EvaluateConfig | SegmentConfig) -> MaskFolders:
    """Where the keys of a command say that images and masks are."""
    return MaskFolders(
        data=config.data,
        images=config.images,
        masks=config.masks,
        classes=config.classes,
        ignore_index=config.ignore_index,
        reduce_zero_label=config.reduce_zero_label,
        on_error=config.on_error,
    )


def evaluate_masks(
    segmenter: TrainedSegmenter,
    images: MaskedImages,
    fabric: "Fabric",
    views: Views,
    *,
    workers: int = 0,
    progress: bool = False,
) -> SegmentEvaluation | PanopticEvaluation:
    """`evaluate_panoptic` for a panoptic network, `evaluate_segmenter` for others."""
    evaluate = evaluate_panoptic if segmenter.classes.panoptic else evaluate_segmenter
    return evaluate(segmenter, images, fabric, views, workers=workers, progress=progress)


def run_evaluate_segment(
    config: EvaluateConfig, checkpoint: TrainedCheckpoint
) -> SegmentEvaluation | PanopticEvaluation:
    """Evaluate a checkpoint on a folder, print the figures and write them to `out`.

    Raises:
        InputError: The checkpoint, the data or the folder `out` is wrong.
    """
    check_unused(config, checkpoint, DetectionsConfig)
    check_no_run(config.out)
    segmenter = load_segmenter(checkpoint, config.acceleration)
    views = views_of(config, segmenter, config.px)
    images = segmentation_images(folders_of(config), segmenter.classes)
    make_folder(config.out)
    fabric = build_fabric(config.device, precision=config.precision)
    evaluation = evaluate_masks(segmenter, images, fabric, views, workers=config.workers, progress=True)
    print_table(evaluation.table)
    print_table(metrics_table(evaluation.metrics))
    acceleration = segmenter.model.backbone.acceleration
    figures = {**evaluation.to_json(), "acceleration": acceleration.to_dict()}
    write_text(config.out / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    write_report(
        config.out / "report.html",
        title="Evaluation",
        summary=[(name, value, "percent") for name, value in evaluation.metrics.items()]
        + [
            ("images", len(images), f"{len(evaluation.classes)} classes"),
            acceleration_figure(acceleration),
        ],
        sections=[
            *evaluation.sections(segmenter),
            *timing_section(evaluation_time(evaluation.seconds, len(images))),
            Code("Configuration", to_yaml(config)),
            Facts("Environment", describe_environment(fabric.device)),
        ],
    )
    print(f"written: {config.out / 'evaluation.json'} and {config.out / 'report.html'}")
    return evaluation


def _example(images: MaskedImages, number: int, labels: NDArray[np.uint8], miou: float) -> Picture:
    image, truth = read_image(images.images[number]), images.labels(number)
    predicted = np.where(truth == IGNORE, IGNORE, labels).astype(np.uint8)  # as it counts
    colors = images.classes.colors
    pictures = [image, overlay(image, truth, colors), overlay(image, predicted, colors)]
    return Picture(f"{images.images[number].name}: mIoU {miou:.0f} %", side_by_side(pictures))
