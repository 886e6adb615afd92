"""A step of pre-training with two stored teachers, with their balance, and with the acceleration on.

    python -m benchmarks.teachers [key=value ...]

A step is the teachers' targets, the student's forward pass, the losses, backward and AdamW, in fp32; reading the stored
features from disk is the loader's work and left out. Arms take turns, round after round; a figure is the median over
rounds of the ratio within a round, of processor time on a CPU. All teachers together are `dim` wide:

    one         one stored teacher, published objective
    unbalanced  two stored teachers, each half as wide, whose targets are layer-normalised
    two         the same, with their targets standardised (`teacher.balance=scale`)
    hadamard    the same, rotated too
    standardise, rotate    the balance of `two` and `hadamard` by itself, without anything else of a step
    balanced, fast    one stored teacher, the student accelerated

Memory is measured in a process for each of `one`, `balanced` and `fast`: weights, gradients, moments and activations.
"""

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness.memory import peak_mib
from benchmarks.harness.options import SpeedOptions, start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.summary import median_ms
from fastitpn.config.types import Count, ImagePx
from fastitpn.data.feature_shards import FeatureIndex, write_index
from fastitpn.pretraining.model import create_pretraining_model
from fastitpn.pretraining.teachers.balance import Balance
from fastitpn.pretraining.teachers.several_teachers import Member, SeveralTeachers
from fastitpn.pretraining.teachers.stored_teacher import StoredTeacher
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.task import PretrainTask

BALANCES = {"unbalanced": "off", "two": "scale", "hadamard": "hadamard"}
ACCELERATIONS = ("balanced", "fast")
ARMS = ("one", *BALANCES, *ACCELERATIONS)
ALONE = {"standardise": "two", "rotate": "hadamard"}
"""The balance by itself, of an arm."""
COMPARED = {
    "two stored teachers over one": ("two", "one"),
    "standardising by itself over a step": ("standardise", "two"),
    "standardising and rotating by itself over a step": ("rotate", "hadamard"),
    "standardising over not": ("two", "unbalanced"),
    "standardising and rotating over not": ("hadamard", "unbalanced"),
    "balanced over plain": ("balanced", "one"),
    "fast over plain": ("fast", "one"),
}
ABOUT = PretrainDescription(model={}, mean=(0.5,) * 3, std=(0.5,) * 3, px=0, teacher={})


@dataclass(frozen=True, kw_only=True)
class Options(SpeedOptions):
    """Teachers."""

    _unwritten = ("out", "note")

    model: str = "fastitpn_tiny"
    """Name of the model."""
    px: ImagePx = 224
    """Side of the input in pixels."""
    batch: Count = 8
    """Images in a step."""
    dim: Count = 1024
    """Width of all stored features together."""
    note: str = ""
    """What to say beside the results."""


def stored_teacher(folder: Path, dim: int, side: int) -> StoredTeacher:
    """A teacher that takes maps of a width, as if they were stored."""
    write_index(folder, FeatureIndex(teacher="any", px=16 * side, side=side, dim=dim, per_shard=1, images=("any",)))
    return StoredTeacher(folder, grid=side)


def make_task(arm: str, folder: Path, options: Options) -> PretrainTask:
    """Student and teachers of an arm."""
    side, keys = options.px // 16, {"img_size": options.px}
    torch.manual_seed(0)
    if arm not in BALANCES:
        teacher = stored_teacher(folder / arm, options.dim, side)
        model = create_pretraining_model(options.model, teacher_dim=options.dim, **keys)
        model.backbone.set_acceleration(arm if arm in ACCELERATIONS else "off")
        return PretrainTask(model, teacher, ABOUT, loss_on="all")
    halves = [stored_teacher(folder / f"{arm}{number}", options.dim // 2, side) for number in (1, 2)]
    teachers = SeveralTeachers([Member(teacher=half, balance=BALANCES[arm]) for half in halves])
    batch = make_batch(arm, options)
    teachers.settle(lambda: [batch])
    model = create_pretraining_model(
        options.model, teacher_dim=options.dim // 2, teachers=teachers.predictions(), **keys
    )
    return PretrainTask(model, teachers, ABOUT, loss=teachers.losses(), weights=teachers.weights(), loss_on="all")


def make_batch(arm: str, options: Options) -> dict[str, Tensor]:
    """Images, masks and maps of features."""
    generator, side = torch.Generator().manual_seed(0), options.px // 16
    images = torch.randn(options.batch, 3, options.px, options.px, generator=generator)
    masked = torch.rand(options.batch, side**2, generator=generator) < 0.4
    maps = torch.randn(options.batch, options.dim, side, side, generator=generator)
    views = maps.chunk(2, 1) if arm in BALANCES else [maps]
    return {
        "image": images,
        "masked": masked,
        **{f"teacher_image{'' if number == 1 else '_2'}": view for number, view in enumerate(views, 1)},
    }


class Arm:
    """A task with its optimiser and a batch."""

    def __init__(self, name: str, folder: Path, options: Options):
        self.task = make_task(name, folder, options).train().to(options.device)
        self.batch = {key: value.to(options.device) for key, value in make_batch(name, options).items()}
        self.optimizer = torch.optim.AdamW(self.task.trained_model.parameters(), lr=1e-4)

    def step(self) -> None:
        """One step."""
        self.task(self.batch)["loss"].backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def balance(self) -> None:
        """What the balance adds to a step."""
        balances = [module for module in self.task.modules() if isinstance(module, Balance)]
        maps = (self.batch["teacher_image"], self.batch["teacher_image_2"])
        with torch.no_grad():
            for balance, features in zip(balances, maps, strict=True):
                balance(features.permute(0, 2, 3, 1).flatten(1, 2))


def build_and_step(name: str, options: Options) -> None:
    """All that training an arm needs, over two steps."""
    with tempfile.TemporaryDirectory() as folder:
        arm = Arm(name, Path(folder), options)
        for _ in range(2):
            arm.step()


def compare(times: dict[str, list[float]]) -> dict[str, Any]:
    """Median and range over rounds of the ratios of `COMPARED`."""
    ratios = {
        title: [one / other for one, other in zip(times[first], times[second], strict=True)]
        for title, (first, second) in COMPARED.items()
    }
    return {
        title: {"ratio": round(statistics.median(each), 4), "range": [round(min(each), 4), round(max(each), 4)]}
        for title, each in ratios.items()
    }


def run(options: Options) -> None:
    """Measures all arms, prints and stores them."""
    if options.device == "cpu":
        torch.set_num_threads(1)
    scale = {"scale": f"{options.model} at {options.px} px, {options.batch} images a step, {options.dim} features"}
    results = Results(options, lambda rows: scale | ({"note": options.note} if options.note else {}))
    with tempfile.TemporaryDirectory() as folder:
        arms = {name: Arm(name, Path(folder), options) for name in ARMS}
        turns = {name: arm.step for name, arm in arms.items()} | {name: arms[of].balance for name, of in ALONE.items()}
        times = take_turns(turns, options.rounds, options.device)
    del arms
    peaks = {name: peak_mib(build_and_step, name, options, device=options.device) for name in ("one", *ACCELERATIONS)}
    for title, figures in compare(times).items():
        row: Row = {"comparison": title, **figures}
        first, second = COMPARED[title]
        if first in peaks:
            row["memory_ratio"] = round(peaks[first] / peaks[second], 3)
        results.add(row | {"ms": [median_ms(times[first]), median_ms(times[second])]})
    results.finish()


if __name__ == "__main__":
    start(Options, run)
