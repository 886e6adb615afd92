"""How good a panoptic network is: PQ, SQ and RQ, class by class, at the original size of the images."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fastitpn.data.images.decode import read_image
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.images import MaskedImages
from fastitpn.data.segmentation.panoptic_codes import Codes
from fastitpn.reporting.overlays import side_by_side, with_legend
from fastitpn.reporting.sections import Grid, Picture, Section, Table
from fastitpn.reporting.tables import panoptic_table
from fastitpn.tasks.segment.panoptic import find_segments
from fastitpn.tasks.segment.panoptic_pictures import segment_overlay
from fastitpn.tasks.segment.panoptic_scores import Matches, class_scores, match_segments, panoptic_scores
from fastitpn.tasks.segment.trained import TrainedSegmenter
from fastitpn.tasks.segment.views import Views
from fastitpn.training.loaders import masked_loader, one_by_one
from fastitpn.training.loading import worker_errors
from fastitpn.training.progress import ProgressDisplay

if TYPE_CHECKING:
    from lightning.fabric import Fabric

EXAMPLES, WORST = 12, 6
"""Images with truth and prediction in a report, spread over all and the worst ones."""


@dataclass(frozen=True, kw_only=True)
class PanopticEvaluation:
    """Figures of a panoptic network on images with segments.

    Attributes:
        metrics: pq, sq and rq, and with `_things` and `_stuff`, in percent.
        classes: Names.
        counted: Of each class, whether it is of things.
        matches: [classes, 4] sum of the IoU of matches, their number, misses and false alarms.
        num_images: How many images.
        examples: Some of them: image, true and found segments side by side.
        worst: Those with the lowest PQ, the same way.
        seconds: How long it took.
    """

    metrics: dict[str, float]
    classes: list[str]
    counted: tuple[bool, ...]
    matches: Matches
    num_images: int
    examples: list[Picture]
    worst: list[Picture]
    seconds: float = 0.0

    @property
    def table(self) -> Table:
        """Figures by class."""
        return panoptic_table(class_scores(self.matches), self.matches, self.classes, self.counted)

    def to_json(self) -> dict[str, Any]:
        """Figures as plain types."""
        rows = self.table
        return {
            "metrics": self.metrics,
            "num_images": self.num_images,
            "classes": self.classes,
            "per_class": [dict(zip(rows.columns, row, strict=True)) for row in rows.rows],
        }

    def sections(self, segmenter: TrainedSegmenter) -> list[Section]:
        """Examples with what their colours mean, figures by class and the worst images, for a report."""
        colors = list(zip(segmenter.classes.colors, self.classes, strict=True))
        return [
            Picture("Colours", with_legend(Image.new("RGB", (320, 1)), colors)),
            Grid("Image, segments, found", self.examples, "Spread evenly over the images."),
            self.table,
            Grid("Worst images", self.worst, "With the lowest PQ: image, segments, found."),
        ]


def evaluate_panoptic(
    segmenter: TrainedSegmenter,
    images: MaskedImages,
    fabric: "Fabric",
    views: Views,
    *,
    workers: int = 0,
    progress: bool = False,
) -> PanopticEvaluation:
    """Evaluate a network on images whose classes are its own.

    Args:
        segmenter: A panoptic one; its model moves to the device.
        images: With segments, and the classes of the network.
        fabric: Where to compute.
        views: How large to look at them.
        workers: Processes that load images.
        progress: Show a bar, if this is a terminal.
    """
    counted = segmenter.classes.counted
    model = segmenter.model.to(fabric.device)
    matches = np.zeros((len(counted), 4))
    shown = set(range(0, len(images), max(1, -(-len(images) // EXAMPLES))))
    examples: list[Picture] = []
    worst: list[tuple[float, int, Codes]] = []
    started = time.perf_counter()
    loader = masked_loader(images, segmenter.mean, segmenter.std, workers=workers)
    display = ProgressDisplay("evaluating", step=0, steps=len(images), enabled=progress)
    with worker_errors(), fabric.autocast(), display:
        for number, (image, mask) in enumerate(one_by_one(loader, fabric)):
            codes, _ = find_segments(model, image, views, counted)
            own = match_segments(codes, mask.cpu().numpy(), len(counted))
            matches += own
            quality = panoptic_scores(own, counted)["pq"]
            if number in shown:
                examples.append(_example(images, number, codes, quality))
            if own.any():  # else there is nothing in it
                worst = sorted([*worst, (quality, number, codes)], key=lambda one: one[:2])[:WORST]
            display.advance(number + 1)
    return PanopticEvaluation(
        metrics=panoptic_scores(matches, counted),
        classes=list(segmenter.classes.names),
        counted=counted,
        matches=matches,
        num_images=len(images),
        examples=examples,
        seconds=time.perf_counter() - started,
        worst=[_example(images, number, codes, quality) for quality, number, codes in worst],
    )


def _example(images: MaskedImages, number: int, found: Codes, quality: float) -> Picture:
    image, truth = read_image(images.images[number]), images.codes(number)
    as_counted = np.where(truth == IGNORE, IGNORE, found)
    colors = images.classes.colors
    pictures = [image, segment_overlay(image, truth, colors), segment_overlay(image, as_counted, colors)]
    return Picture(f"{images.images[number].name}: PQ {quality:.0f} %", side_by_side(pictures))
