"""Values that are not finite, in images, losses, gradients and bf16: they never reach the weights."""

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks
from benchmarks.trust.kill import in_two_processes

if TYPE_CHECKING:
    from fastitpn.runs.run import Run

VALUES = (math.nan, math.inf, -math.inf)
PLACES = ("image", "loss", "gradient")


def attack(number: int, seed: int, folder: Path) -> str | None:
    """A training with a value in an image, a loss or a gradient: the step is skipped, and said to be.

    Of three attacks one is on one of two processes.
    """
    from training_example import RandomImages, spoilt_task, train

    from fastitpn.runs.run import Run
    from fastitpn.training.processes.devices import build_fabric

    rng, out = rng_of(seed, number), folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    value, place, at = VALUES[number % 3], PLACES[number // 3 % 3], rng.randrange(2, 10)
    precision = "bf16-mixed" if number // 9 % 2 else "32-true"
    what = f"{place}, {value}, {precision}"
    if number // 3 % 3 == number % 3:
        process = in_two_processes(out, spoilt=f"{place}:{value}:{at}", precision=precision, batch=1)
        said = process.communicate(timeout=250)[1]
        if process.returncode != 0:
            return f"{what}, in one of two processes: {process.returncode}: {said[-300:]}"
        return _problem(Run(out), f"{what}, in one of two processes")
    images = RandomImages({at: value} if place == "image" else None)
    train(out, task=spoilt_task(place, value, at), data=images, fabric=build_fabric("cpu", precision=precision))
    return _problem(Run(out), what)


def _problem(run: "Run", what: str) -> str | None:
    import torch
    from tiny_runs import content, leaves

    values = [leaf for _, leaf in leaves(content(run)["training"]) if isinstance(leaf, torch.Tensor)]
    if not all(torch.isfinite(leaf).all() for leaf in values if leaf.is_floating_point()):
        return f"{what}: it reached the weights"
    return None if any(row["split"] == "skipped" for row in run.history) else f"{what}: no step was skipped"


def prepare(folder: Path) -> None:
    """What two processes are copies of."""
    import forking

    forking.address()


ATTACKS = (Attacks(name="values that are not finite", count=60, attack=attack, prepare=prepare),)
