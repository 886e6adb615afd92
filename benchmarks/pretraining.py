"""A step of pre-training against the literal reference: images/s and peak memory, interleaved in one run.

    python -m benchmarks.pretraining [key=value ...]

A step is forward, negative cosine on hidden patches, backward and AdamW, in fp32 on 224 px images, against fixed
targets (a teacher costs both the same). Arms take turns, round after round; a figure is the median over rounds of the
ratio within a round. `checkpointed` is ours with gradient checkpointing. Losses of the first step must agree to 1e-4.

Memory is measured in a process for each arm. Weights, gradients and AdamW's moments are the same in all arms (16 bytes
a parameter), so the ratio depends on the batch.
"""

import copy
import gc
import statistics
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

from benchmarks.harness.memory import peak_mib
from benchmarks.harness.options import SpeedOptions, start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.summary import speed_up
from benchmarks.reference import SIZES, ReferencePretraining, rule_weights
from fastitpn.config.types import Count
from fastitpn.models.weights.official_names import from_official_names
from fastitpn.pretraining.model import PretrainingModel, create_pretraining_model

ARMS = ("reference", "fastitpn", "checkpointed")
TEACHER_DIM = 768
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Options(SpeedOptions):
    """Pre-training."""

    _unwritten = ("out", "note")

    sizes: tuple[Literal[*SIZES], ...] = ("tiny", "base")
    """Sizes of the model."""
    batch: Count = 8
    """Images in a step."""
    memory_batch: Count | None = None
    """Images in a step whose memory is measured; none takes batch."""
    note: str = ""
    """What to say beside the results."""


class Arm:
    """A model with its optimiser."""

    def __init__(self, name: str, size: str, device: str, *, same_weights: bool = True):
        self.checkpointed = name == "checkpointed"
        if name == "reference":
            self.model: torch.nn.Module = ReferencePretraining(**SIZES[size], teacher_dim=TEACHER_DIM)
            rule_weights(self.model)
        else:
            self.model = create_pretraining_model(
                f"fastitpn_{size}", teacher_dim=TEACHER_DIM, img_size=SIZES[size]["img_size"]
            )
            if same_weights:
                reference = ReferencePretraining(**SIZES[size], teacher_dim=TEACHER_DIM)
                rule_weights(reference)
                tensors = from_official_names(reference.state_dict())[0]
                names = {key.removeprefix("backbone."): key for key in self.model.state_dict()}
                self.model.load_state_dict({names[key]: value for key, value in tensors.items()})
        self.model.train().to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)

    def step(self, images: torch.Tensor, masked: torch.Tensor, targets: torch.Tensor) -> float:
        """One step; returns its loss."""
        if isinstance(self.model, PretrainingModel):
            self.model.backbone.set_grad_checkpointing(self.checkpointed)
        cosine = F.cosine_similarity(self.model(images, masked), targets, dim=-1)
        loss = -(cosine * masked).sum() / masked.sum()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()


def make_batch(size: str, batch: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, masks and targets."""
    generator, px = torch.Generator().manual_seed(0), SIZES[size]["img_size"]
    patches = (px // 16) ** 2
    images = torch.randn(batch, 3, px, px, generator=generator)
    masked = torch.rand(batch, patches, generator=generator) < 0.4
    targets = torch.randn(batch, patches, TEACHER_DIM, generator=generator)
    return images.to(device), masked.to(device), targets.to(device)


def measure_speed(size: str, batch: int, rounds: int, device: str) -> Row:
    """Images/s and ratios to the reference, of one size."""
    arms = {name: Arm(name, size, device) for name in ARMS[:2]}
    arms["checkpointed"] = copy.copy(arms["fastitpn"])  # the same model: three would take half as much memory again
    arms["checkpointed"].checkpointed = True
    data = make_batch(size, batch, device)
    losses: dict[str, list[float]] = {name: [] for name in arms}
    steps = {name: lambda name=name: losses[name].append(arms[name].step(*data)) for name in arms}
    times = take_turns(steps, rounds, device)
    first = {name: losses[name][0] for name in ARMS[:2]}  # that of `checkpointed` is the second one of its model
    if max(first.values()) - min(first.values()) > TOLERANCE:
        raise SystemExit(f"{size}: first losses differ: {first}")
    row: Row = {"model": f"fastitpn_{size}", "batch": batch, "rounds": rounds, "first_loss": first}
    row |= {f"{name}_images_per_s": round(batch / statistics.median(times[name]), 2) for name in ARMS}
    for name in ARMS[1:]:
        row[f"{name}_ratio"], row[f"{name}_ratio_range"] = speed_up(times["reference"], times[name])
    return row


def build_and_step(name: str, size: str, batch: int, device: str) -> None:
    """All that training an arm needs: weights, gradients, optimiser and activations, over two steps."""
    arm, data = Arm(name, size, device, same_weights=False), make_batch(size, batch, device)
    for _ in range(2):
        arm.step(*data)


def measure_memory(size: str, batch: int, device: str) -> Row:
    """Peak of each arm in MiB, and the ratios to the reference."""
    peaks = {name: peak_mib(build_and_step, name, size, batch, device, device=device) for name in ARMS}
    row: Row = {"memory_batch": batch, **{f"{name}_peak_mib": round(peaks[name]) for name in ARMS}}
    return row | {f"{name}_memory_ratio": round(peaks[name] / peaks["reference"], 3) for name in ARMS[1:]}


def run(options: Options) -> None:
    """Measures all sizes, prints and stores them."""
    batch, device = options.batch, options.device
    if device == "cpu":
        torch.set_num_threads(1)
    results = Results(options, lambda rows: {"note": options.note}, device=device)
    for size in options.sizes:
        row = measure_speed(size, batch, options.rounds, device)
        gc.collect()
        results.add(row | measure_memory(size, options.memory_batch or batch, device))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
