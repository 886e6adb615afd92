"""Plain inference against the literal reference: fp32, one core, interleaved in one run.

    python -m benchmarks.inference [sizes=base,tiny] [rounds=7] [out=benchmarks/results/inference.json]

Three arms see the same images in turn, round after round: the reference, ours, and ours with PyTorch's own Linear
instead of oneDNN's (`fastitpn.models.layers.linear`). A figure is the median over rounds of the ratio within a round,
so that a slow moment of the machine touches all arms alike. Outputs must agree to 1e-5.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch

import fastitpn
from benchmarks.machine import describe_machine
from benchmarks.reference import SIZES, ReferenceClassifier, rule_weights
from fastitpn.models.layers import linear
from fastitpn.models.weights.official_names import from_official_names

CASES = ((224, 8), (512, 1), (1024, 1))
TOLERANCE = 1e-5


def build(size: str, px: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The reference and our model with the same weights, of a scale at which every branch counts."""
    reference = ReferenceClassifier(**{**SIZES[size], "img_size": px}, num_classes=1000).eval()
    rule_weights(reference)
    ours = fastitpn.create_model(f"fastitpn_{size}", img_size=px).eval()
    ours.load_state_dict(from_official_names(reference.state_dict())[0])
    return reference, ours


@torch.inference_mode()
def measure(size: str, px: int, batch: int, rounds: int) -> dict[str, object]:
    """One row: latencies in ms and ratios to the reference."""
    reference, ours = build(size, px)
    images = torch.randn(batch, 3, px, px, generator=torch.Generator().manual_seed(0))
    arms = {"reference": (reference, True), "fastitpn": (ours, True), "without_onednn_linear": (ours, False)}
    times: dict[str, list[float]] = {name: [] for name in arms}
    outputs = {}
    for turn in range(rounds + 1):
        for name, (model, onednn) in arms.items():
            linear.ENABLED = onednn
            start = time.perf_counter()
            outputs[name] = model(images)
            if turn > 0:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    linear.ENABLED = True
    difference = max((outputs[name] - outputs["reference"]).abs().max().item() for name in arms)
    if difference > TOLERANCE:
        raise SystemExit(f"{size} at {px} px: outputs differ by {difference:.1e}, more than {TOLERANCE:.0e}")
    row: dict[str, object] = {"model": f"fastitpn_{size}", "px": px, "batch": batch, "max_difference": difference}
    for name in arms:
        row[f"{name}_ms"] = round(1e3 * statistics.median(times[name]), 1)
    for name in list(arms)[1:]:
        ratios = sorted(r / o for r, o in zip(times["reference"], times[name], strict=True))
        row[f"{name}_ratio"] = round(statistics.median(ratios), 3)
        row[f"{name}_ratio_range"] = [round(ratios[0], 3), round(ratios[-1], 3)]
    return row


def main() -> None:
    """Measure all cases, print and store them."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    torch.set_num_threads(1)
    rows = []
    for size in options.get("sizes", "base,tiny").split(","):
        for px, batch in CASES:
            rows.append(measure(size, px, batch, int(options.get("rounds", 7))))
            print(json.dumps(rows[-1]), flush=True)
    result = {"command": "python -m " + " ".join(["benchmarks.inference", *sys.argv[1:]]), **describe_machine()}
    if "out" in options:
        Path(options["out"]).write_text(json.dumps({**result, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
