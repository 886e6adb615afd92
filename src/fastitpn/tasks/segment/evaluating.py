"""How good a segmentation network is on images with masks, and pictures of what it makes of them."""

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from fastitpn.data.chunks import TOGETHER, chunks
from fastitpn.data.images.decode import read_image
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.images import MaskedImages
from fastitpn.reporting.overlays import side_by_side
from fastitpn.reporting.sections import Picture
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.segment.description import SegmenterDescription
from fastitpn.tasks.segment.evaluation import MaskEvaluation
from fastitpn.tasks.segment.loaders import masked_loader
from fastitpn.tasks.segment.measures import Cells, Measure, measure_of
from fastitpn.tasks.segment.model import Segmenter
from fastitpn.tasks.segment.views import TestTimeViews
from fastitpn.training.loaders import on_device
from fastitpn.training.loading import worker_errors
from fastitpn.training.progress import ProgressDisplay

if TYPE_CHECKING:
    from lightning_fabric import Fabric

EXAMPLES, WORST = 12, 6
"""Images with truth and prediction in a report, spread over all and the worst ones."""

TrainedSegmenter = Trained[Segmenter, SegmenterDescription]


def evaluate_segmenter(
    segmenter: TrainedSegmenter,
    images: MaskedImages,
    fabric: "Fabric",
    views: TestTimeViews | None = None,
    *,
    batch: int = TOGETHER,
    workers: int = 0,
    progress: bool = False,
) -> MaskEvaluation:
    """Evaluate a network on images whose classes are its own.

    Args:
        segmenter: Its model moves to the device.
        images: With the classes of the network; for a panoptic one with segments.
        fabric: Device and precision to compute with.
        views: How to look at them; None for as in the training.
        batch: Images that are held at a time; those of one size are looked at together.
        workers: Processes that load images.
        progress: Show a bar, if this is a terminal.
    """
    about = segmenter.about
    views = views or TestTimeViews.of(about)
    model = segmenter.model.to(fabric.device)
    measure = measure_of(about.classes)(about.classes)
    shown = set(range(0, len(images), max(1, -(-len(images) // EXAMPLES))))
    examples: list[Picture] = []
    worst: list[tuple[float, int, Cells]] = []
    started = time.perf_counter()
    loader = masked_loader(images, about, workers=workers)
    display = ProgressDisplay("evaluating", step=0, steps=len(images), enabled=progress)
    with worker_errors(), torch.inference_mode(), fabric.autocast(), display:
        index = 0
        for chunk in chunks(on_device(loader, fabric), batch, lambda sample: sample["mask"].numel()):
            pixels, masks = ([sample[key][0] for sample in chunk] for key in ("image", "mask"))
            for prediction, score, counts in measure.add(model, pixels, masks, views):
                if index in shown:
                    examples.append(_example(measure, images, index, prediction, score))
                if counts:
                    worst = sorted([*worst, (score, index, prediction)], key=lambda entry: entry[:2])[:WORST]
                index += 1
            display.advance(index)
    return measure.evaluation(
        classes=list(about.class_names),
        num_images=len(images),
        seconds=time.perf_counter() - started,
        colors=about.classes.colors,
        examples=examples,
        worst=[_example(measure, images, index, prediction, score) for score, index, prediction in worst],
    )


def _example(measure: Measure, images: MaskedImages, index: int, prediction: Cells, score: float) -> Picture:
    image, truth, colors = read_image(images.images[index]), measure.truth(images, index), images.classes.colors
    as_counted = np.where(truth == IGNORE, IGNORE, prediction)
    pictures = [image, *(measure.overlay(image, cells, colors) for cells in (truth, as_counted))]
    return Picture(f"{images.images[index].name}: {measure.metrics[0].label} {score:.0f} %", side_by_side(pictures))
