"""What a file and its model get right on labelled pictures, and how fast a quantised file is."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor

from fastitpn.data.segmentation_masks import MaskReader
from fastitpn.exporters.onnx_file import Runner
from fastitpn.exporters.parity import batches
from fastitpn.exporters.pictures import Pictures
from fastitpn.exporters.shapes import Shapes
from fastitpn.exporters.subject import Subject
from fastitpn.tasks.segment.scores import pixel_confusion, segmentation_scores
from fastitpn.tasks.segment.views import label_map

_ROUNDS = 7


@torch.no_grad()
def measure_quality(subject: Subject, run: Runner, pictures: Pictures, shapes: Shapes) -> dict[str, Any] | None:
    """The figure of the task, in percent, for the model and for its file, at the file's size.

    Returns:
        Plain types; None where the pictures have no labels.
    """
    if pictures.labels is None and pictures.masks is None:
        return None
    images = pictures.tensors(shapes.size)
    scores = {"model": lambda batch: subject.network(batch)[0], "file": lambda batch: run(batch)[0]}
    figures = {}
    for name, score in scores.items():
        found: dict[int, Tensor] = {}
        for places in batches(len(images), shapes.batches[0]):
            found |= zip(range(places.start, places.stop), score(images[places]), strict=True)
        figures[name] = _top1(found, pictures) if pictures.masks is None else _miou(found, pictures, subject)
    metric = "top1" if pictures.masks is None else "miou"
    return {"metric": metric, **figures, "images": pictures.source, "px": list(shapes.size)}


@torch.no_grad()
def speed_up(runs: tuple[Runner, Runner], images: Tensor) -> float:
    """How many times as fast the first is as the second: a median over passes in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(_ROUNDS + 1):
        for run, spent in zip(runs, times, strict=True):
            start = time.perf_counter()
            run(images)
            if turn > 0:  # the first one warms up
                spent.append(time.perf_counter() - start)
    return statistics.median(times[1]) / statistics.median(times[0])


def _top1(found: dict[int, Tensor], pictures: Pictures) -> float:
    assert pictures.labels is not None
    return 100 * statistics.mean(int(found[place].argmax()) == label for place, label in enumerate(pictures.labels))


def _miou(found: dict[int, Tensor], pictures: Pictures, subject: Subject) -> float:
    assert pictures.masks is not None
    assert subject.masks is not None
    reader, classes = MaskReader.of(subject.masks), len(subject.masks.names)
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for place, path in enumerate(pictures.masks):
        mask = torch.from_numpy(reader(path))
        labels, _ = label_map(found[place], *mask.shape)
        matrix += pixel_confusion(labels, mask, classes)
    return segmentation_scores(matrix)["miou"]
