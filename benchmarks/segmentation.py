"""What pre-training is worth to segmentation with few labels, and what the acceleration costs it: composed scenes.

    python -m benchmarks.segmentation [key=value ...]

Scenes with index masks: background and 6 classes, 128 to 192 px, up to six objects each (`fastitpn.data.scenes`); no
glyph and no photograph of a validation scene is in any other. `weights` is a pre-training of the same seed, so that it
has not seen them either; without it `fastitpn_nano` is pre-trained first (`benchmarks.harness.starts`). Every arm
trains over the same images in the same order. The figures are those of the last step, not of the best: nothing is
chosen on the images that are validated on.

Every trained arm is also run with each acceleration, whichever it was trained with: mean IoU over the same scenes, and
images per second of one forward pass in which the accelerations take turns.

What is done is kept in `work`, and rows in `out`; the same command typed again goes on where it stopped.
"""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

import fastitpn
from benchmarks.harness.arms import ArmOptions, arm_keys, pace_of
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row, once
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.starts import pretrained
from benchmarks.harness.summary import by_arm, over_seeds, paired_differences, pairs_of_arms, speed_up
from fastitpn.config.types import Count, ImagePx, Positive
from fastitpn.data.scenes import build_scenes
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.tasks.loading import load_trained

BATCH, TIMED_BATCH, ROUNDS = 16, 8, 40
CLASSES, SCENE_PX = 6, (128, 192)
FIGURES = ("miou", "mean_accuracy", "pixel_accuracy")
PRETRAINED, SCRATCH, LONGER, FRESH = "pre-trained", "scratch", "scratch-3x", "fresh-pyramid"
BALANCED, FAST = "balanced", "fast"
_FROM_NOTHING: dict[str, Any] = {"scratch": True, "layer_decay": 1.0}
"""Decay by layer protects what was learnt before; without anything learnt it would only slow the network down."""
ARMS: dict[str, dict[str, Any]] = {
    PRETRAINED: {},
    SCRATCH: _FROM_NOTHING,
    LONGER: _FROM_NOTHING,  # and `LONGER_BY` the epochs
    FRESH: {"weights_strict": False},
    BALANCED: {"acceleration": "balanced"},
    FAST: {"acceleration": "fast"},
}
LONGER_BY = 3
GAINS = {
    "pre-trained over scratch": (PRETRAINED, SCRATCH),
    "pre-trained over scratch with 3x the steps": (PRETRAINED, LONGER),
    "pre-trained over fresh pyramid": (PRETRAINED, FRESH),
    "balanced over plain": (BALANCED, PRETRAINED),
    "fast over plain": (FAST, PRETRAINED),
}
HEADS: dict[str, dict[str, Any]] = {
    "linear": {"name": "linear"},
    "upernet": {"name": "upernet", "width": 64, "auxiliary_weight": 0.0},
    "mask2former": {"name": "mask2former"},
    "maskdino": {"name": "maskdino", "queries": 100},
}
IDENTITY = ("arm", "seed")


@dataclass(frozen=True, kw_only=True)
class Options(ArmOptions):
    """Segmentation."""

    arms: tuple[Literal[*ARMS], ...] = tuple(ARMS)
    """What to train."""
    head: Literal[*HEADS] = "linear"
    """What is on the pyramid; upernet is made small here, the queries of the others are equally many."""

    epochs: Positive = 25
    train: Count = 240
    val: Count = 300
    px: ImagePx = 128
    work: Path = Path("runs/bench-segmentation")


def keys_of(arm: str, seed: int, data: Path, weights: Path, options: Options) -> dict[str, Any]:
    """What an arm trains: all is equal but `ARMS`, the steps of `scratch-3x`, and where the weights come from."""
    return {
        "data": data,
        "head": HEADS[options.head],
        "batch": BATCH,
        "layer_decay": 0.9,
        **arm_keys(options, arm, seed, weights, ARMS[arm], times=LONGER_BY if arm == LONGER else 1),
    }


def measure(arm: str, seed: int, keys: Mapping[str, Any]) -> Row:
    """The figures of the last step, how long the training took, and what each acceleration does to it."""
    run = fastitpn.finetune("segment", **keys)  # goes on where it stopped; says so if that was with other options
    last = [row for row in run.history if row["split"] == "val"][-1]
    return {
        "arm": arm,
        "seed": seed,
        **{name: round(last[name], 2) for name in FIGURES},
        **pace_of(run, BATCH),
        "with": with_each_acceleration(run, keys["data"], keys["px"], keys["device"]),
    }


@torch.inference_mode()
def with_each_acceleration(run: fastitpn.Run, data: Path, px: int, device: str) -> dict[str, dict[str, float]]:
    """Mean IoU of the last step's weights and images per second, by name of acceleration."""
    last = run.directory / "checkpoints" / "last.ckpt"
    place = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    figures: dict[str, dict[str, float]] = {}
    passes = {}
    for name in PRESETS:
        evaluation = fastitpn.evaluate(
            last, data, acceleration=name, device=device, workers=0, out=run.directory / "with" / name
        )
        figures[name] = {"miou": round(evaluation.metrics["miou"], 2)}
        network = load_trained(last, name).model.eval().to(place)
        images = torch.randn(TIMED_BATCH, 3, px, px, generator=torch.Generator().manual_seed(0))
        passes[name] = partial(network.log_probabilities, images.to(place))
    times = take_turns(passes, ROUNDS, place)
    for name, seconds in times.items():
        figures[name] |= {
            "images_per_s": round(TIMED_BATCH / statistics.median(seconds), 1),
            "speed_up": speed_up(times["off"], seconds, 2)[0],
        }
    return figures


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Mean and spread over the seeds: of every arm, of differences within a seed, and of every acceleration."""
    rows = list(rows)
    arms = {
        arm: {name: over_seeds(row[name] for row in of_seed.values()) for name in (*FIGURES, "training_minutes")}
        for arm, of_seed in by_arm(rows).items()
    }
    gains: dict[str, dict[str, Any]] = {}
    for title, of_seed in pairs_of_arms(rows, GAINS).items():
        gains[title] = {}
        for name in FIGURES:
            columns = ({seed: pair[index][name] for seed, pair in sorted(of_seed.items())} for index in (0, 1))
            by_seed = {seed: round(value, 2) for seed, value in paired_differences(*columns).items()}
            gains[title][name] = {**over_seeds(by_seed.values()), "by_seed": by_seed}
    accelerations = {
        arm: {
            preset: {
                name: over_seeds(row["with"][preset][name] for row in of_seed.values())
                for name in ("miou", "speed_up", "images_per_s")
            }
            for preset in PRESETS
        }
        for arm, of_seed in by_arm(rows).items()
    }
    return {"arms": arms, "gains": gains, "trained as the arm, run with": accelerations}


def run(options: Options) -> None:
    """Trains what is not trained yet, prints and stores the figures."""
    scale = (
        f"fastitpn_nano at {options.px} px, head {options.head}, {options.train} scenes to train on for "
        f"{options.epochs:g} epochs, {options.val} to validate on, background and {CLASSES} classes"
    )
    results = Results(
        options, lambda rows: {"scale": scale, "summary": summarise(rows)}, identity=IDENTITY, device=options.device
    )
    for seed in options.seeds:
        arms = [arm for arm in options.arms if not results.has(arm, seed)]
        if not arms:
            continue
        data = options.work / str(seed) / "data"
        counts = (options.train, options.val)
        scenes = build_scenes(data, forms=("segment",), segment=counts, classes=CLASSES, px=SCENE_PX, seed=seed)
        weights = pretrained(seed, options, options.weights)
        for arm in arms:
            keys = keys_of(arm, seed, scenes.directory / "segment", weights, options)
            results.add(once(keys["out"] / "row.json", options, partial(measure, arm, seed, keys)))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
