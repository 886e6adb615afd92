"""What a file and its model get right on labelled pictures, and how fast a quantised file is."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from fastitpn.exporting.parity import batches
from fastitpn.exporting.pictures import Outputs, Pictures
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import Shapes
from fastitpn.exporting.subject import Subject

_ROUNDS = 7


@torch.no_grad()
def measure_quality(subject: Subject, run: Runner, pictures: Pictures, shapes: Shapes) -> dict[str, Any] | None:
    """The metrics of the task for the model and for its file, see `describe_quality`; None without labels."""
    if pictures.truth is None or subject.whole is None:
        return None
    images = pictures.tensors(shapes.size)
    of_model, of_file = (
        subject.whole.score(compute_outputs(compute, images, shapes), pictures.truth)
        for compute in (subject.network, run)
    )
    return describe_quality(subject, of_model, of_file, pictures, shapes)


def describe_quality(
    subject: Subject, of_model: dict[str, float], of_file: dict[str, float], pictures: Pictures, shapes: Shapes
) -> dict[str, Any]:
    """Plain types: the main metric for the model and for its file, at the file's size, and all of them."""
    assert subject.whole is not None
    both = {name: {"model": value, "file": of_file[name]} for name, value in of_model.items()}
    main = subject.whole.metrics[0].name
    return {"metric": main, **both[main], "images": pictures.source, "px": list(shapes.size), "metrics": both}


def compute_outputs(compute: Callable[[Tensor], Iterable[Tensor]], images: Tensor, shapes: Shapes) -> list[Outputs]:
    """The outputs for each image, in batches that a file takes."""
    outputs: dict[int, Outputs] = {}
    for places in batches(len(images), shapes.batches[0]):
        outputs |= zip(range(places.start, places.stop), zip(*compute(images[places]), strict=True), strict=True)
    return [outputs[place] for place in range(len(images))]


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
