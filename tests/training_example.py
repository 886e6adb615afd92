"""A small task with all that makes resuming hard: dropout, running statistics, a teacher, random samples.

As a program it trains the task, for tests that kill it: `python training_example.py OUT key=value ...`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from tiny_runs import ENVIRONMENT
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fastitpn.config import Config
from fastitpn.console import printing
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import RunDirectory, prepare
from fastitpn.training.loop import fit
from fastitpn.training.metric import Metric
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.processes.fully_sharded import whole
from fastitpn.training.sampler import StepSampler
from fastitpn.training.settings import FitSettings
from fastitpn.training.task import Batch, Task

CLASSES = 3
SAMPLES = 10


class TinyModel(nn.Sequential):
    """Of three layers: the convolution, the norm, and the rest."""

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": r"^0\.", "norm": r"^1\."}


class TinyTask(Task):
    """Classifies 6x6 images; `teacher` follows the head slowly, as a moving-average teacher would."""

    def __init__(self) -> None:
        super().__init__()
        generator_state = torch.get_rng_state()
        torch.manual_seed(0)
        self.trained_model = TinyModel(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, CLASSES)
        )
        torch.set_rng_state(generator_state)
        self.teacher = torch.zeros(CLASSES)
        self.progress: list[float] = []

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        logits = self.trained_model(batch["image"])
        loss = nn.functional.cross_entropy(logits, batch["label"])
        return {"loss": loss, "mean_logit": logits.mean()}

    def after_step(self, progress: float) -> None:
        self.progress.append(progress)
        self.teacher.lerp_(whole(self.trained_model[-1].bias).cpu(), 0.1)

    def evaluate(self, batches: Iterable[Batch], model: nn.Module) -> dict[str, float]:
        right = [(model(batch["image"]).argmax(1) == batch["label"]).float().mean() for batch in batches]
        loss = [nn.functional.cross_entropy(model(batch["image"]), batch["label"]) for batch in batches]
        return {"top1": float(torch.stack(right).mean()), "loss": float(torch.stack(loss).mean())}

    def describe(self) -> dict[str, Any]:
        return {
            "task": "classify",
            "model": {"name": "tiny", "arguments": {}},
            "classes": ["a", "b", "c"],
            "normalisation": {"mean": [0.0], "std": [1.0]},
            "px": 6,
        }

    def extra_state(self) -> dict[str, Any]:
        return {"teacher": self.teacher}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.teacher.copy_(state["teacher"])


class CrashError(Exception):
    """What `Crashing` raises."""


class Crashing(TinyTask):
    """Fails after the update of one step, as a bug or a lost machine would."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def after_step(self, progress: float) -> None:
        super().after_step(progress)
        if len(self.progress) == self.at:
            raise CrashError


def plain_task() -> TinyTask:
    """Without what depends on how a batch is divided: batch statistics and dropout."""
    task = TinyTask()
    task.trained_model[1] = nn.Identity()
    task.trained_model[4] = nn.Identity()
    return task


def spoilt_task(place: str, value: float, at: int) -> TinyTask:
    """A task whose loss, or the gradient alone, is spoilt by a value in the `at`-th micro-batch of this process."""

    class Spoilt(TinyTask):
        calls = 0

        def forward(self, batch: Batch) -> dict[str, Tensor]:
            losses = super().forward(batch)
            self.calls += 1
            if self.calls == at and place == "loss":
                losses["loss"] = losses["loss"] * value
            if self.calls == at and place == "gradient":
                losses["loss"].register_hook(lambda gradient: gradient * value)
            return losses

    return Spoilt()


class RandomImages(Dataset[Batch]):
    """Images that depend on (epoch, index) alone. `poison` maps an index to a value for its pixels."""

    def __init__(self, poison: Mapping[int, float] | None = None, samples: int = SAMPLES, delay_s: float = 0.0):
        self.poison = dict(poison or {})
        self.samples = samples
        self.delay_s = delay_s

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        epoch, index = key
        time.sleep(self.delay_s)
        label = index % CLASSES
        noise = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(1000 * epoch + index))
        image = noise + label
        if index in self.poison:
            image = torch.full_like(image, self.poison[index])
        return {"image": image, "label": torch.tensor(label), "index": torch.tensor(index)}


SETTINGS = FitSettings(
    steps=12,
    lr=0.05,
    warmup_steps=2,
    layer_decay=0.9,
    clip_grad=1.0,
    ema=0.9,
    accumulate=2,
    checkpoint_every=4,
    evaluate_every=3,
    log_every=2,
    best_metric=Metric(name="top1", title="Top-1 accuracy"),
)


@dataclass(frozen=True, kw_only=True)
class ExampleConfig(Config):
    """Training."""

    _command: ClassVar[str] = "finetune classify"

    steps: int
    """Steps of the run."""
    schedule: str = "cosine"
    """How the learning rate falls."""
    out: Path
    """Its directory."""


def train(
    out: Path,
    settings: FitSettings = SETTINGS,
    *,
    task: Task | None = None,
    data: Dataset[Batch] | None = None,
    workers: int = 0,
    batch: int = 3,
    evaluated: bool = True,
    fabric: Any = None,
) -> RunDirectory:
    """Trains a `TinyTask`, or goes on with it."""
    task = TinyTask() if task is None else task
    dataset = RandomImages() if data is None else data
    fabric = build_fabric("cpu") if fabric is None else fabric
    run = prepare(
        out, ExampleConfig(steps=settings.steps, schedule=settings.schedule, out=out), rank=fabric.global_rank
    )

    def make_loader(start_step: int) -> DataLoader[Batch]:
        sampler = StepSampler(
            len(dataset),  # type: ignore[arg-type]
            batch,
            settings.steps,
            settings.seed,
            start_step,
            fabric.global_rank,
            fabric.world_size,
            accumulate=settings.accumulate,
        )
        return DataLoader(dataset, batch_sampler=sampler, num_workers=workers)

    def evaluate(model: nn.Module) -> dict[str, float]:
        images = RandomImages()
        batch = [images[99, index] for index in range(SAMPLES)]
        return task.evaluate([{key: torch.stack([item[key] for item in batch]) for key in batch[0]}], model)

    fit(
        task,
        fabric=fabric,
        settings=settings,
        make_loader=make_loader,
        evaluate=evaluate if evaluated else None,
        run=run,
    )
    return run


def program(out: Path, **options: object) -> dict[str, Any]:
    """Arguments of `subprocess` that run this file."""
    words = [f"{name}={value}" for name, value in options.items()]
    return {
        "args": [sys.executable, "-W", "error", __file__, str(out), *words],
        "env": {**ENVIRONMENT, "OMP_NUM_THREADS": "1"},
        "text": True,
    }


def wait_for_rows(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until a run in another process has logged so many rows."""
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").is_file() or len(Run(out).history) < count:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)


if __name__ == "__main__":
    options = dict(word.split("=") for word in sys.argv[2:])
    torch.set_num_threads(1)
    poison = {int(options["poison"]): float("nan")} if "poison" in options else None
    task = plain_task() if "plain" in options else None
    fabric = build_fabric(
        "cpu",
        devices=int(options.get("devices", 1)),
        strategy=options.get("strategy", "ddp"),
        precision=options.get("precision", "32-true"),
    )
    if "spoilt" in options and fabric.global_rank == 1:
        place, value, at = options["spoilt"].split(":")
        task = spoilt_task(place, float(value), int(at))
        poison = {int(at): float(value)} if place == "image" else None
    try:
        with printing():
            train(
                Path(sys.argv[1]),
                task=task,
                data=RandomImages(poison, delay_s=float(options.get("delay_s", 0))),
                workers=int(options.get("workers", 0)),
                batch=int(options.get("batch", 3)),
                fabric=fabric,
            )
    except KeyboardInterrupt:
        os._exit(130)
