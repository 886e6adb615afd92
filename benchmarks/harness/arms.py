"""Fine-tunings that are compared: all is equal but what the arms say."""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.options import TrainingOptions
from benchmarks.harness.starts import machine_keys, without_pyramid
from fastitpn import Run
from fastitpn.config.types import Count, ImagePx, Positive

EVALUATIONS = 4
"""In a training."""


@dataclass(frozen=True, kw_only=True)
class ArmOptions(TrainingOptions):
    """Arms."""

    weights: Path | None = None
    """Pre-training to start from, with {seed} for the seed; none pre-trains first, in about 25 CPU minutes a seed."""
    epochs: Positive
    """Length of each training in passes over the images; some arms train longer."""
    lr: Positive = 1e-3
    """Highest learning rate."""
    train: Count
    """Scenes to train on."""
    val: Count
    """Scenes to validate on."""
    px: ImagePx
    """Side of the input in pixels."""


def arm_keys(
    options: ArmOptions, arm: str, seed: int, weights: Path, own: dict[str, Any], *, times: int = 1
) -> dict[str, Any]:
    """Keys of an arm's fine-tuning: those that all have, then its `own`; it may train `times` as long as the others.

    It starts from `weights`, but with `weights_strict` false from a fresh pyramid, and with `scratch` from nothing.
    """
    epochs = options.epochs * times
    folder = options.work / str(seed)
    if not own.get("weights_strict", True):
        weights = without_pyramid(weights, folder / "trunk.pt")
    return {
        "out": folder / arm,
        "defaults": "fixed",
        "model": "fastitpn_nano",
        "px": options.px,
        "epochs": epochs,
        "warmup_epochs": epochs / 20,
        "lr": options.lr,
        "drop_path": 0.0,
        "eval_every_epochs": epochs / EVALUATIONS,
        "checkpoint_every": 100,
        "seed": seed,
        **machine_keys(options),
        **({} if own.get("scratch") else {"weights": weights}),
        **own,
    }


def pace_of(run: Run, batch: int) -> dict[str, float]:
    """Steps, images per second, and how long the training took without its evaluations."""
    rates = [row["images_per_s"] for row in run.history if row.get("images_per_s")]
    steps = [row["step"] for row in run.history if row["split"] == "val"][-1]
    return {
        "steps": steps,
        "images_per_s": round(statistics.median(rates), 2),
        "training_minutes": round(steps * batch / statistics.harmonic_mean(rates) / 60, 1),
    }
