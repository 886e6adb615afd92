"""Plain inference against the literal reference: fp32, one core, interleaved in one run.

    python -m benchmarks.inference [key=value ...]

Three arms see the same images in turn, round after round: the reference, ours, and ours with PyTorch's own Linear
instead of oneDNN's (`fastitpn.models.layers.onednn`). A figure is the median over rounds of the ratio within a round,
so that a slow moment of the machine touches all arms alike. Outputs must agree to 1e-5.
"""

from dataclasses import dataclass
from typing import Literal

import torch

import fastitpn
from benchmarks import reference_itpn
from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.summary import median_ms, speed_up
from benchmarks.reference import SIZES, ReferenceClassifier, rule_weights
from fastitpn.config.types import Count
from fastitpn.models.layers import onednn
from fastitpn.models.weights.official_names import from_official_names

CASES = ((224, 8), (512, 1), (1024, 1))
TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Inference."""

    sizes: tuple[Literal[*SIZES, *reference_itpn.SIZES], ...] = ("base", "tiny")
    """Sizes of Fast-iTPN, or names of iTPN."""
    rounds: Count = 7
    """Rounds, in each of which all arms have a turn; one more comes first, to warm up."""


def build(size: str, px: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The reference and our model with the same weights, of a scale at which every branch counts."""
    if size in SIZES:
        reference: torch.nn.Module = ReferenceClassifier(**{**SIZES[size], "img_size": px}).eval()
    else:
        reference = reference_itpn.ReferenceITPN(**{**reference_itpn.SIZES[size], "img_size": px}).eval()
    rule_weights(reference)
    ours = fastitpn.create_model(_name(size), img_size=px).eval()
    ours.load_state_dict(from_official_names(reference.state_dict())[0])
    return reference, ours


@torch.inference_mode()
def measure(size: str, px: int, batch: int, rounds: int) -> Row:
    """Latencies in ms and ratios to the reference, of one size and batch."""
    reference, ours = build(size, px)
    images = torch.randn(batch, 3, px, px, generator=torch.Generator().manual_seed(0))
    arms = {"reference": (reference, True), "fastitpn": (ours, True), "without_onednn_linear": (ours, False)}
    outputs = {}

    def forward(name: str) -> None:
        model, onednn.ENABLED = arms[name]
        outputs[name] = model(images)

    times = take_turns({name: lambda name=name: forward(name) for name in arms}, rounds)
    onednn.ENABLED = True
    difference = max((outputs[name] - outputs["reference"]).abs().max().item() for name in arms)
    if difference > TOLERANCE:
        raise SystemExit(f"{size} at {px} px: outputs differ by {difference:.1e}, more than {TOLERANCE:.0e}")
    row: Row = {"model": _name(size), "px": px, "batch": batch, "max_difference": difference}
    row |= {f"{name}_ms": median_ms(times[name]) for name in arms}
    for name in list(arms)[1:]:
        row[f"{name}_ratio"], row[f"{name}_ratio_range"] = speed_up(times["reference"], times[name])
    return row


def _name(size: str) -> str:
    return f"fastitpn_{size}" if size in SIZES else size


def run(options: Options) -> None:
    """Measures all cases, prints and stores them."""
    torch.set_num_threads(1)
    results = Results(options)
    for size in options.sizes:
        for px, batch in CASES:
            results.add(measure(size, px, batch, options.rounds))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
