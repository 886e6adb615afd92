"""A detector at the size of COCO's recipes, 800x1333, with each acceleration: time and peak memory of an image.

    python -m benchmarks.detection_speed [sizes=base] [detector=mask_rcnn] [rounds=5] [device=cpu] [out=FILE.json]

Whole Mask R-CNN of 80 classes (1,000 proposals, 100 detections with masks), and its trunk with the pyramid alone, with
random weights, in fp32. Accelerations take turns, round after round; a figure is the median over rounds of the ratio
within a round. On a CPU a pass has one thread, and its time is that thread's processor time: other work on the machine
does not count. Memory is measured in a process for each acceleration: on a CPU its peak resident set less what it had
before the detector was built (Linux), on a GPU what torch allocated at most; weights are in it.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.machine import describe_machine
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.detect.model import create_detector

HEIGHT, WIDTH = 800, 1333
CLASSES = 80
ACCELERATIONS = ("off", "balanced", "fast")
PARTS = ("backbone", "detector")


def build(size: str, name: str, device: str) -> Detector:
    """With random weights, and a detection for every score, so that masks are drawn."""
    arguments = {"min_score": 0.0} if "rcnn" in name else {}
    model = {"name": f"fastitpn_{size}", "arguments": {}}
    return create_detector(model, {"name": name, "arguments": arguments}, CLASSES).eval().to(device)


def seconds(detector: Detector, part: str, images: list[torch.Tensor]) -> float:
    """Of one pass."""
    device = images[0].device.type
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    if part == "detector":
        detector.detect(images)
    else:
        detector.feature_maps(torch.nn.functional.pad(images[0], (0, -WIDTH % 64, 0, -HEIGHT % 64)).unsqueeze(0))
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


@torch.inference_mode()
def measure_speed(size: str, name: str, rounds: int, device: str) -> dict[str, dict[str, object]]:
    """Milliseconds and ratios to the plain model, by acceleration."""
    torch.manual_seed(0)
    detector, images = build(size, name, device), [torch.randn(3, HEIGHT, WIDTH).to(device)]
    times: dict[tuple[str, str], list[float]] = {(a, p): [] for a in ACCELERATIONS for p in PARTS}
    for turn in range(rounds + 1):
        for acceleration in ACCELERATIONS:
            detector.backbone.set_acceleration(acceleration)
            for part in PARTS:
                spent = seconds(detector, part, images)
                if turn > 0:  # the first round warms up
                    times[acceleration, part].append(spent)
    rows: dict[str, dict[str, object]] = {acceleration: {} for acceleration in ACCELERATIONS}
    for (acceleration, part), own in times.items():
        ratios = sorted(plain / one for plain, one in zip(times["off", part], own, strict=True))
        rows[acceleration][f"{part}_ms"] = round(1e3 * statistics.median(own), 1)
        rows[acceleration][f"{part}_speed_up"] = round(statistics.median(ratios), 3)
        rows[acceleration][f"{part}_speed_up_range"] = [round(ratios[0], 3), round(ratios[-1], 3)]
    return rows


@torch.inference_mode()
def peak_of_this_process(size: str, name: str, acceleration: str, device: str) -> float:
    """Peak memory in MiB of the weights and one pass."""
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    detector = build(size, name, device)
    detector.backbone.set_acceleration(acceleration)
    seconds(detector, "detector", [torch.randn(3, HEIGHT, WIDTH).to(device)])
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 2**10 - before


def main() -> None:
    """Measure all sizes, print and store them."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    name, device = options.get("detector", "mask_rcnn"), options.get("device", "cpu")
    sizes = options.get("sizes", "base").split(",")
    if device == "cpu":
        torch.set_num_threads(1)
    if "acceleration" in options:
        print(peak_of_this_process(sizes[0], name, options["acceleration"], device))
        return
    rows = []
    for size in sizes:
        for acceleration, row in measure_speed(size, name, int(options.get("rounds", 5)), device).items():
            words = [
                sys.executable,
                "-m",
                "benchmarks.detection_speed",
                f"sizes={size}",
                f"acceleration={acceleration}",
            ]
            done = subprocess.run(
                [*words, f"detector={name}", f"device={device}"], capture_output=True, text=True, check=True
            )
            own = {"model": f"fastitpn_{size}", "detector": name, "acceleration": acceleration}
            rows.append({**own, **row, "peak_mib": round(float(done.stdout))})
            print(json.dumps(rows[-1]), flush=True)
    words = [word for word in sys.argv[1:] if not word.startswith("out=")]
    if "out" in options:
        result = {
            "command": " ".join(["python -m benchmarks.detection_speed", *words]),
            "scale": f"one image of {HEIGHT}x{WIDTH} px",
            **describe_machine(device),
            "rows": rows,
        }
        Path(options["out"]).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
