"""A detector at the size of COCO's recipes, 800x1333, with each acceleration: time and peak memory of an image.

    python -m benchmarks.detection_speed [key=value ...]

Whole Mask R-CNN of 80 classes (1,000 proposals, 100 detections with masks), and its trunk with the pyramid alone, with
random weights, in fp32. Accelerations take turns, round after round; a figure is the median over rounds of the ratio
within a round. Memory is measured in a process for each acceleration; weights are in it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F

from benchmarks.harness.memory import peak_mib
from benchmarks.harness.options import SpeedOptions, start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.summary import median_ms, speed_up
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.detect.heads.registry import DETECTORS
from fastitpn.tasks.detect.model import create_detector

HEIGHT, WIDTH = 800, 1333
CLASSES = 80
ACCELERATIONS = ("off", "balanced", "fast")
PARTS = ("backbone", "detector")


@dataclass(frozen=True, kw_only=True)
class Options(SpeedOptions):
    """Detectors."""

    sizes: tuple[str, ...] = ("base",)
    """Sizes of the trunk."""
    detector: Literal[*DETECTORS] = "mask_rcnn"
    """Detector on the pyramid."""


def build(size: str, name: str, device: str) -> Detector:
    """With random weights, and a detection for every score, so that masks are drawn."""
    arguments = {"min_score": 0.0} if "rcnn" in name else {}
    model = {"name": f"fastitpn_{size}", "arguments": {}}
    return create_detector(model, {"name": name, "arguments": arguments}, CLASSES).eval().to(device)


@torch.inference_mode()
def look(detector: Detector, acceleration: str, part: str, image: torch.Tensor) -> None:
    """One pass of an image, of the whole detector or of its trunk with the pyramid."""
    detector.backbone.set_acceleration(acceleration)
    if part == "detector":
        detector.detect([image])
    else:
        detector.feature_maps(F.pad(image, (0, -WIDTH % 64, 0, -HEIGHT % 64)).unsqueeze(0))


def measure_speed(size: str, name: str, rounds: int, device: str) -> dict[str, Row]:
    """Milliseconds and ratios to the plain model, by acceleration."""
    torch.manual_seed(0)
    detector, image = build(size, name, device), torch.randn(3, HEIGHT, WIDTH).to(device)
    arms = [(acceleration, part) for acceleration in ACCELERATIONS for part in PARTS]
    times = take_turns({arm: partial(look, detector, *arm, image) for arm in arms}, rounds, device)
    rows: dict[str, Row] = {acceleration: {} for acceleration in ACCELERATIONS}
    for (acceleration, part), seconds in times.items():
        ratio, spread = speed_up(times["off", part], seconds)
        rows[acceleration][f"{part}_ms"] = median_ms(seconds)
        rows[acceleration] |= {f"{part}_speed_up": ratio, f"{part}_speed_up_range": spread}
    return rows


def build_and_look(size: str, name: str, acceleration: str, device: str) -> None:
    """All that a first image needs."""
    look(build(size, name, device), acceleration, "detector", torch.randn(3, HEIGHT, WIDTH).to(device))


def run(options: Options) -> None:
    """Measures all sizes, prints and stores them."""
    name, device = options.detector, options.device
    if device == "cpu":
        torch.set_num_threads(1)
    scale = f"one image of {HEIGHT}x{WIDTH} px"
    results = Results(options, lambda rows: {"scale": scale}, device=device)
    for size in options.sizes:
        for acceleration, figures in measure_speed(size, name, options.rounds, device).items():
            peak = peak_mib(build_and_look, size, name, acceleration, device, device=device)
            arm = {"model": f"fastitpn_{size}", "detector": name, "acceleration": acceleration}
            results.add({**arm, **figures, "peak_mib": round(peak)})
    results.finish()


if __name__ == "__main__":
    start(Options, run)
