"""What a file and its model get right on labelled pictures, and how fast a quantised file is."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor

from fastitpn.exporting.onnx_file import Runner
from fastitpn.exporting.parity import batches
from fastitpn.exporting.pictures import Pictures
from fastitpn.exporting.shapes import Shapes
from fastitpn.exporting.subject import Subject
from fastitpn.tasks.detect.scores import CocoScores
from fastitpn.tasks.segment.scores import pixel_confusion, segmentation_scores
from fastitpn.tasks.segment.views import label_map

_ROUNDS = 7

Found = dict[int, tuple[Tensor, ...]]
"""The outputs for each picture, by its place."""


@torch.no_grad()
def measure_quality(subject: Subject, run: Runner, pictures: Pictures, shapes: Shapes) -> dict[str, Any] | None:
    """The figure of the task, in percent, for the model and for its file, at the file's size.

    Returns:
        Plain types; None where the pictures have no labels.
    """
    if pictures.labels is not None:
        metric, score = "top1", _top1
    elif pictures.masks is not None:
        metric, score = "miou", _miou
    elif pictures.things is not None:
        metric, score = "box_ap", _box_ap
    else:
        return None
    images = pictures.tensors(shapes.size)
    figures = {}
    for name, compute in {"model": subject.network, "file": run}.items():
        found: Found = {}
        for places in batches(len(images), shapes.batches[0]):
            found |= zip(range(places.start, places.stop), zip(*compute(images[places]), strict=True), strict=True)
        figures[name] = score(found, pictures, subject)
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


def _top1(found: Found, pictures: Pictures, subject: Subject) -> float:
    assert pictures.labels is not None
    return 100 * statistics.mean(int(found[place][0].argmax()) == label for place, label in enumerate(pictures.labels))


def _box_ap(found: Found, pictures: Pictures, subject: Subject) -> float:
    assert pictures.things is not None
    images, places = pictures.things
    scores = CocoScores(images.classes)
    for number, place in enumerate(places):
        if place in places[:number]:
            continue  # it came again to fill a batch
        height, width = images.sizes[place]
        things, (boxes, confidences, labels) = images.annotations(place), found[number][:3]
        truth = {
            "image_id": images.image_ids(place),
            "size": (height, width),
            "boxes": things.boxes,
            "labels": things.labels,
            "crowd": things.crowd,
            "area": things.area,
        }
        own = {"boxes": boxes * torch.tensor([width, height]).repeat(2), "scores": confidences, "labels": labels}
        scores.add({key: [value] for key, value in truth.items()}, [own])
    return scores.figures()["box_ap"]


def _miou(found: Found, pictures: Pictures, subject: Subject) -> float:
    assert pictures.masks is not None
    assert subject.masks is not None
    classes = len(subject.masks.names)
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for place, read in enumerate(pictures.masks):
        mask = torch.from_numpy(read())
        labels, _ = label_map(found[place][0], *mask.shape)
        matrix += pixel_confusion(labels, mask, classes)
    return segmentation_scores(matrix)["miou"]
