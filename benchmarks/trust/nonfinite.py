"""Values that are not finite, in images, losses, gradients and bf16: they never reach the weights."""

import math
import shutil
from pathlib import Path
from typing import Any

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks

VALUES = (math.nan, math.inf, -math.inf)
PLACES = ("image", "loss", "gradient")


def attack(number: int, seed: int, folder: Path) -> str | None:
    """A training with a value in an image, a loss or a gradient: the step is skipped, and said to be."""
    import torch
    from tiny_runs import content, leaves
    from training_example import RandomImages, TinyTask, train

    from fastitpn.training.processes.devices import build_fabric

    rng, out = rng_of(seed, number), folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    value, place, at = VALUES[number % 3], PLACES[number // 3 % 3], rng.randrange(2, 10)
    precision = "bf16-mixed" if number // 9 % 2 else "32-true"

    class Spoilt(TinyTask):
        calls = 0

        def forward(self, batch: Any) -> Any:
            losses = super().forward(batch)
            self.calls += 1
            if self.calls == at and place == "loss":
                losses["loss"] = losses["loss"] * value
            if self.calls == at and place == "gradient":
                losses["mean_logit"].requires_grad and losses["loss"].register_hook(lambda gradient: gradient * value)
            return losses

    data = RandomImages({at: value} if place == "image" else None)
    run = train(out, task=Spoilt(), data=data, fabric=build_fabric("cpu", precision=precision))
    values = [leaf for _, leaf in leaves(content(run)["training"]) if isinstance(leaf, torch.Tensor)]
    if not all(torch.isfinite(leaf).all() for leaf in values if leaf.is_floating_point()):
        return f"{place}, {value}, {precision}: it reached the weights"
    skipped = [row for row in run.history if row["split"] == "skipped"]
    return None if skipped else f"{place}, {value}, {precision}: no step was skipped"


ATTACKS = (Attacks(name="values that are not finite", count=60, attack=attack),)
