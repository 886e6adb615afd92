"""What pre-training is worth to detection, and what the acceleration costs it: Mask R-CNN on composed scenes.

    python -m benchmarks.detection [weights=runs/bench-demo/{seed}/pretrain] [seeds=0,1,2] [arms=pre-trained,...]
        [epochs=12] [train=1000] [val=200] [px=160] [device=auto] [precision=auto] [workers=2]
        [work=runs/bench-detection] [out=benchmarks/results/detection.json]

Scenes in COCO's format with masks: 10 classes, 160 to 224 px, up to six things each (`fastitpn.data.scenes`); no glyph
and no photograph of a validation scene is in any other. `weights` is a pre-training of the same seed, so that it has
not seen them either; without it `fastitpn_nano` is pre-trained as the demo does. Every arm trains for the same steps
over the same images in the same order. The figures are those of the last step, not of the best: nothing is chosen on
the images that are validated on. `dino` is there to see that it learns: its first evaluation is compared with its last,
for the first seed alone.

What is done is kept in `work`; the same command typed again goes on where it stopped.
"""

import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.starts import Options, as_typed, pretrained, without_pyramid
from fastitpn.config import DetectConfig, build
from fastitpn.data.scenes import build_scenes
from fastitpn.engine.finetune_detect import run_detect
from fastitpn.engine.run import Run

BATCH = 8
CLASSES, SCENE_PX = 10, (160, 224)
EVALUATIONS = 4
"""In a training; the first and the last are stored."""
FIGURES = ("box_ap", "box_ap50", "box_ap75", "mask_ap", "mask_ap50", "mask_ap75")
PRETRAINED, SCRATCH, FRESH, BALANCED, DINO = "pre-trained", "scratch", "fresh-pyramid", "balanced", "dino"
ARMS: dict[str, dict[str, Any]] = {
    PRETRAINED: {},
    SCRATCH: {"scratch": True},
    FRESH: {"weights_strict": False},
    BALANCED: {"acceleration": "balanced"},
    DINO: {"detector": "dino", "queries": 100, "layers": 3, "clip_grad": 0.1},
}
GAINS = {
    "pre-trained over scratch": (PRETRAINED, SCRATCH),
    "pre-trained over fresh pyramid": (PRETRAINED, FRESH),
    "balanced over plain": (BALANCED, PRETRAINED),
}


def arm_config(arm: str, seed: int, data: Path, weights: Path, options: Options, work: Path) -> DetectConfig:
    """What an arm trains: all is equal but `ARMS`, and where the weights come from."""
    epochs = float(options.get("epochs", 12))
    own = dict(ARMS[arm])
    if arm == FRESH:
        own["weights"] = without_pyramid(weights, work / str(seed) / "trunk.pt")
    elif arm != SCRATCH:
        own["weights"] = weights
    keys = {
        "data": data,
        "out": work / str(seed) / arm,
        "model": "fastitpn_nano",
        "px": int(options.get("px", 160)),
        "batch": BATCH,
        "epochs": epochs,
        "warmup_epochs": epochs / 20,
        "lr": 5e-4,
        "layer_decay": 0.9,
        "drop_path": 0.0,
        "eval_every_epochs": epochs / EVALUATIONS,
        "checkpoint_every": 100,
        "seed": seed,
        "device": options.get("device", "auto"),
        "precision": options.get("precision", "auto"),
        "workers": int(options.get("workers", 2)),
    }
    return build(DetectConfig, {**keys, **own})


def measure(arm: str, seed: int, config: DetectConfig) -> dict[str, Any]:
    """One row: figures of the first and the last evaluation, and how long the training took."""
    run = Run(config.out) if (config.out / "result.json").is_file() else run_detect(config)
    evaluations = [row for row in run.history if row["split"] == "val"]
    figures = {name: round(evaluations[-1][name], 2) for name in FIGURES if name in evaluations[-1]}
    rates = [row["images_per_s"] for row in run.history if row.get("images_per_s")]
    images = evaluations[-1]["step"] * config.batch
    return {
        "arm": arm,
        "seed": seed,
        **figures,
        "first_box_ap": round(evaluations[0]["box_ap"], 2),
        "steps": evaluations[-1]["step"],
        "images_per_s": round(statistics.median(rates), 2),
        "training_minutes": round(images / statistics.harmonic_mean(rates) / 60, 1),
    }


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and spread over the seeds of every arm, and of the differences between arms of the same seed."""
    of_arm: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        of_arm.setdefault(row["arm"], {})[row["seed"]] = row
    arms = {
        arm: {
            name: _mean_and_spread([row[name] for row in members.values()])
            for name in (*FIGURES, "first_box_ap", "training_minutes")
            if all(name in row for row in members.values())
        }
        for arm, members in of_arm.items()
    }
    gains = {}
    for title, (one, other) in GAINS.items():
        first, second = of_arm.get(one, {}), of_arm.get(other, {})
        seeds = sorted(first.keys() & second.keys())
        if seeds:
            gains[title] = {
                name: _mean_and_spread([first[seed][name] - second[seed][name] for seed in seeds])
                for name in ("box_ap", "box_ap75", "mask_ap", "mask_ap75")
            }
    return {"arms": arms, "gains": gains}


def _mean_and_spread(values: list[float]) -> Mapping[str, Any]:
    return {
        "mean": round(statistics.mean(values), 2),
        "spread": [round(min(values), 2), round(max(values), 2)],
        "seeds": len(values),
    }


def main() -> None:
    """Train what is not trained yet, print and store the figures."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    work = Path(options.get("work", "runs/bench-detection"))
    counts = (int(options.get("train", 1000)), int(options.get("val", 200)))
    rows = []
    for seed in (seeds := [int(word) for word in options.get("seeds", "0,1,2").split(",")]):
        scenes = build_scenes(
            work / str(seed) / "data", forms=("detect",), detect=counts, classes=CLASSES, px=SCENE_PX, seed=seed
        )
        weights = pretrained(seed, options, work)
        for arm in options.get("arms", ",".join(ARMS)).split(","):
            if arm == DINO and seed != min(seeds):
                continue
            config = arm_config(arm, seed, scenes.directory / "detect", weights, options, work)
            rows.append(measure(arm, seed, config))
            print(json.dumps(rows[-1]), flush=True)
    summary = summarise(rows)
    print(json.dumps(summary, indent=1))
    if "out" in options:
        px, epochs = options.get("px", "160"), options.get("epochs", "12")
        result = {
            "command": f"python -m benchmarks.detection {as_typed(options)}",
            "scale": f"fastitpn_nano at {px} px, {counts[0]} scenes to train on for {epochs} epochs, "
            f"{counts[1]} to validate on, {CLASSES} classes",
            **describe_machine(),
            "summary": summary,
            "rows": rows,
        }
        Path(options["out"]).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
