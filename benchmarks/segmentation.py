"""What pre-training is worth to segmentation with few labels, and what the acceleration costs it: composed scenes.

    python -m benchmarks.segmentation [weights=runs/bench-demo/{seed}/pretrain] [seeds=0,1,2] [arms=pre-trained,...]
        [head=linear] [epochs=25] [lr=1e-3] [train=240] [val=300] [px=128] [device=auto] [workers=0]
        [work=runs/bench-segmentation] [out=benchmarks/results/segmentation.json]

Scenes with index masks: background and 6 classes, 128 to 192 px, up to six things each (`fastitpn.data.scenes`); no
glyph and no photograph of a validation scene is in any other. `weights` is a pre-training of the same seed, so that it
has not seen them either; without it `fastitpn_nano` is pre-trained first (`benchmarks.starts`). Every arm trains over
the same images in the same order. The figures are those of the last step, not of the best: nothing is chosen on the
images that are validated on. `head` is `linear` or `upernet`, which is made small here.

Every trained arm is also run with each acceleration, whichever it was trained with: mean IoU over the same scenes, and
images per second of one forward pass in which the accelerations take turns.

What is done is kept in `work`; the same command typed again goes on where it stopped.
"""

import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.machine import describe_machine
from benchmarks.starts import Options, as_typed, pretrained, without_pyramid
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.timing import Contestant, stopwatch_for, take_turns
from fastitpn.config import build, to_yaml
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.data.scenes import build_scenes
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images
from fastitpn.files import write_text
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.runs.run import Run
from fastitpn.tasks.segment.evaluation import evaluate_segmenter
from fastitpn.tasks.segment.finetune import run_segment
from fastitpn.tasks.segment.trained import load_segmenter
from fastitpn.tasks.segment.views import Views
from fastitpn.training.processes.devices import build_fabric

BATCH, TIMED_BATCH, ROUNDS = 16, 8, 40
CLASSES, SCENE_PX = 6, (128, 192)
EVALUATIONS = 4
"""In a training."""
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
HEADS: dict[str, dict[str, Any]] = {"linear": {}, "upernet": {"head_width": 64, "auxiliary_weight": 0.0}}


def arm_config(arm: str, seed: int, data: Path, weights: Path, options: Options, work: Path) -> SegmentConfig:
    """What an arm trains: all is equal but `ARMS`, the steps of `scratch-3x`, and where the weights come from."""
    epochs = float(options.get("epochs", 25)) * (LONGER_BY if arm == LONGER else 1)
    head = options.get("head", "linear")
    own = dict(ARMS[arm])
    if arm == FRESH:
        own["weights"] = without_pyramid(weights, work / str(seed) / "trunk.pt")
    elif not own.get("scratch"):
        own["weights"] = weights
    keys = {
        "data": data,
        "out": work / str(seed) / arm,
        "model": "fastitpn_nano",
        "head": head,
        "px": int(options.get("px", 128)),
        "batch": BATCH,
        "epochs": epochs,
        "warmup_epochs": epochs / 20,
        "lr": float(options.get("lr", 1e-3)),
        "layer_decay": 0.9,
        "drop_path": 0.0,
        "eval_every_epochs": epochs / EVALUATIONS,
        "checkpoint_every": 100,
        "seed": seed,
        "device": options.get("device", "auto"),
        "workers": int(options.get("workers", 0)),
    }
    return build(SegmentConfig, {**keys, **HEADS[head], **own})


def measure(arm: str, seed: int, config: SegmentConfig) -> dict[str, Any]:
    """One row: the figures of the last step, how long the training took, and what each acceleration does to it."""
    stored = config.out / "row.json"
    if stored.is_file() and Run(config.out).config == yaml.safe_load(to_yaml(config)):
        row: dict[str, Any] = json.loads(stored.read_text())
        return row
    run = run_segment(config)  # goes on where it stopped; says so if that was trained with other options
    last = [row for row in run.history if row["split"] == "val"][-1]
    rates = [row["images_per_s"] for row in run.history if row.get("images_per_s")]
    row = {
        "arm": arm,
        "seed": seed,
        **{name: round(last[name], 2) for name in FIGURES},
        "steps": last["step"],
        "images_per_s": round(statistics.median(rates), 2),
        "training_minutes": round(last["step"] * config.batch / statistics.harmonic_mean(rates) / 60, 1),
        "with": with_each_acceleration(run, config),
    }
    write_text(stored, json.dumps(row, indent=1) + "\n")
    return row


def with_each_acceleration(run: Run, config: SegmentConfig) -> dict[str, dict[str, float]]:
    """Mean IoU of the last step's weights and images per second, by name of acceleration."""
    fabric = build_fabric(config.device)
    segmenter = load_segmenter(run.directory / "checkpoints" / "last.ckpt")
    images = segmentation_images(MaskFolders(data=config.data), segmenter.classes)
    views = Views(px=segmenter.px, resize=segmenter.resize)
    found: dict[str, dict[str, float]] = {}
    contestants: dict[str, Contestant] = {}
    stopwatch = stopwatch_for(str(fabric.device))
    conditions = Conditions(device=str(fabric.device))
    batch = torch.randn(TIMED_BATCH, 3, segmenter.px, segmenter.px, generator=torch.Generator().manual_seed(0))
    for name, acceleration in PRESETS.items():
        segmenter.model.backbone.set_acceleration(acceleration)
        found[name] = {"miou": round(evaluate_segmenter(segmenter, images, fabric, views).metrics["miou"], 2)}
        own = load_segmenter(segmenter.path, name).model.to(fabric.device)
        contestants[name] = Contestant(run=conditions.forward(own, batch.to(fabric.device)))
        contestants[name].warm_up(stopwatch)
    take_turns(list(contestants.values()), stopwatch, ROUNDS, between=lambda: None, after_turn=lambda: None)
    rounds = {name: [statistics.mean(turn) for turn in one.turns] for name, one in contestants.items()}
    for name, times in rounds.items():
        ratios = [plain / own for plain, own in zip(rounds["off"], times, strict=True)]
        found[name] |= {
            "images_per_s": round(TIMED_BATCH / statistics.median(times), 1),
            "speed_up": round(statistics.median(ratios), 2),
        }
    return found


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and spread over the seeds: of every arm, of differences within a seed, and of every acceleration."""
    of_arm: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        of_arm.setdefault(row["arm"], {})[row["seed"]] = row
    arms = {
        arm: {name: mean_and_spread(row[name] for row in members.values()) for name in (*FIGURES, "training_minutes")}
        for arm, members in of_arm.items()
    }
    gains = {}
    for title, (one, other) in GAINS.items():
        first, second = of_arm.get(one, {}), of_arm.get(other, {})
        if seeds := sorted(first.keys() & second.keys()):
            differences = {
                name: {seed: round(first[seed][name] - second[seed][name], 2) for seed in seeds} for name in FIGURES
            }
            gains[title] = {
                name: {**mean_and_spread(own.values()), "by_seed": own} for name, own in differences.items()
            }
    accelerations = {
        arm: {
            preset: {
                name: mean_and_spread(row["with"][preset][name] for row in members.values())
                for name in ("miou", "speed_up", "images_per_s")
            }
            for preset in PRESETS
        }
        for arm, members in of_arm.items()
    }
    return {"arms": arms, "gains": gains, "trained as the arm, run with": accelerations}


def mean_and_spread(values: Iterable[float]) -> dict[str, Any]:
    """Mean, lowest and highest."""
    listed = list(values)
    return {
        "mean": round(statistics.mean(listed), 2),
        "spread": [round(min(listed), 2), round(max(listed), 2)],
        "seeds": len(listed),
    }


def main() -> None:
    """Train what is not trained yet, print and store the figures."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    work = Path(options.get("work", "runs/bench-segmentation"))
    counts = (int(options.get("train", 240)), int(options.get("val", 300)))
    rows = []
    for seed in (int(word) for word in options.get("seeds", "0,1,2").split(",")):
        scenes = build_scenes(
            work / str(seed) / "data", forms=("segment",), segment=counts, classes=CLASSES, px=SCENE_PX, seed=seed
        )
        weights = pretrained(seed, options, work)
        for arm in options.get("arms", ",".join(ARMS)).split(","):
            config = arm_config(arm, seed, scenes.directory / "segment", weights, options, work)
            rows.append(measure(arm, seed, config))
            print(json.dumps(rows[-1]), flush=True)
    summary = summarise(rows)
    print(json.dumps(summary, indent=1))
    if "out" in options:
        result = {
            "command": f"python -m benchmarks.segmentation {as_typed(options)}",
            "scale": f"fastitpn_nano at {options.get('px', '128')} px, head {options.get('head', 'linear')}, "
            f"{counts[0]} scenes to train on for {options.get('epochs', '25')} epochs, {counts[1]} to validate on, "
            f"background and {CLASSES} classes",
            **describe_machine(),
            "summary": summary,
            "rows": rows,
        }
        write_text(Path(options["out"]), json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
