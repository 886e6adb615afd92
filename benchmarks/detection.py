"""What pre-training is worth to detection, and what the acceleration costs it: Mask R-CNN on composed scenes.

    python -m benchmarks.detection [weights=runs/pretrain-{seed}] [seeds=0,1,2] [arms=pre-trained,...]
        [epochs=6] [lr=1e-3] [train=1000] [val=200] [px=160] [device=auto] [precision=auto] [workers=2]
        [work=runs/bench-detection] [out=benchmarks/results/detection.json]

Scenes in COCO's format with masks: 10 classes, 160 to 176 px, up to six things each (`fastitpn.data.scenes`). They are
evaluated on two sets of `val` scenes. `known` are other scenes of the glyphs and photographs that are trained on: what
one finds whose cameras and products stay the same. `unseen` has other glyphs on other photographs, of the same classes:
a fox where there were a wolf and a dog. `weights` is a pre-training of the same seed, so that it has not seen those
either; without it `fastitpn_nano` is pre-trained first (`benchmarks.starts`). Every arm trains for the same steps over
the same images in the same order, but those of `TIMES`, which train longer. The figures are those of the last step, not
of the best: nothing is chosen on the images that are validated on. At 160 px an image has 100 tokens, of which
`balanced` keeps 40; at 224 px it has 196 and keeps 79. `dino` is there to see that it learns: six epochs, its first
evaluation is compared with its last, for the first seed alone.

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
from fastitpn.config import build
from fastitpn.tasks.detect.config import DetectConfig
from fastitpn.data.detection.images import detection_images
from fastitpn.data.scenes import build_scenes
from fastitpn.files import write_text
from fastitpn.tasks.detect.evaluation import evaluate_detector
from fastitpn.tasks.detect.finetune import run_detect
from fastitpn.tasks.detect.trained import load_detector
from fastitpn.training.processes.devices import build_fabric

BATCH, REGIONS = 4, 64
CLASSES, SCENE_PX = 10, (160, 176)
EVALUATIONS = 4
"""In a training; the first and the last are stored."""
SETS = ("known", "unseen")
FIGURES = ("box_ap", "box_ap50", "box_ap75", "mask_ap", "mask_ap50", "mask_ap75")
PRETRAINED, SCRATCH, FRESH, BALANCED, DINO = "pre-trained", "scratch", "fresh-pyramid", "balanced", "dino"
PRETRAINED_2X, SCRATCH_2X = "pre-trained-2x", "scratch-2x"
PRETRAINED_224, BALANCED_224 = "pre-trained-224", "balanced-224"
_RCNN: dict[str, Any] = {"regions": REGIONS}
ARMS: dict[str, dict[str, Any]] = {
    PRETRAINED: _RCNN,
    SCRATCH: _RCNN | {"scratch": True},
    FRESH: _RCNN | {"weights_strict": False},
    BALANCED: _RCNN | {"acceleration": "balanced"},
    PRETRAINED_2X: _RCNN,
    SCRATCH_2X: _RCNN | {"scratch": True},
    PRETRAINED_224: _RCNN | {"px": 224},
    BALANCED_224: _RCNN | {"px": 224, "acceleration": "balanced"},
    DINO: {"detector": "dino", "queries": 100, "layers": 3, "clip_grad": 0.1, "lr": 3e-4, "epochs": 6},
}
TIMES = {PRETRAINED_2X: 2, SCRATCH_2X: 2}
"""So many times the epochs of the others."""
GAINS = {
    "pre-trained over scratch": (PRETRAINED, SCRATCH),
    "pre-trained over fresh pyramid": (PRETRAINED, FRESH),
    "balanced over plain": (BALANCED, PRETRAINED),
    "balanced over plain, both at 224 px": (BALANCED_224, PRETRAINED_224),
    "pre-trained over scratch, both 2x": (PRETRAINED_2X, SCRATCH_2X),
    "pre-trained over scratch 2x": (PRETRAINED, SCRATCH_2X),
}


def set_apart(folder: Path, known: int) -> dict[str, Path]:
    """Files of annotations: "train", "known" (the last `known` of the training scenes) and "unseen"."""
    every = json.loads((folder / "annotations_train.json").read_text())
    parts = {"train": every["images"][:-known], "known": every["images"][-known:]}
    files = {"unseen": folder / "annotations_val.json"}
    for name, images in parts.items():
        ids = {image["id"] for image in images}
        annotations = [one for one in every["annotations"] if one["image_id"] in ids]
        files[name] = folder / f"{name}.json"
        write_text(files[name], json.dumps({**every, "images": images, "annotations": annotations}))
    return files


def arm_config(
    arm: str, seed: int, files: dict[str, Path], weights: Path, options: Options, work: Path
) -> DetectConfig:
    """What an arm trains: all is equal but `ARMS` and `TIMES`, and where the weights come from."""
    epochs = float(options.get("epochs", 6)) * TIMES.get(arm, 1)
    own = dict(ARMS[arm])
    if arm == FRESH:
        own["weights"] = without_pyramid(weights, work / str(seed) / "trunk.pt")
    elif not own.get("scratch"):
        own["weights"] = weights
    keys = {
        "data": files["train"],
        "val": files["known"],
        "images": files["train"].parent / "train",
        "out": work / str(seed) / arm,
        "model": "fastitpn_nano",
        "px": int(options.get("px", 160)),
        "batch": BATCH,
        "epochs": epochs,
        "warmup_epochs": epochs / 20,
        "lr": float(options.get("lr", 1e-3)),
        "layer_decay": 1.0,  # the same for all, those from nothing among them
        "drop_path": 0.0,
        "eval_every_epochs": epochs / EVALUATIONS,
        "checkpoint_every": 100,
        "seed": seed,
        "device": options.get("device", "auto"),
        "precision": options.get("precision", "auto"),
        "workers": int(options.get("workers", 2)),
    }
    return build(DetectConfig, {**keys, **own})


def measure(arm: str, seed: int, config: DetectConfig, unseen: Path) -> dict[str, Any]:
    """One row: figures of the last step on both sets, those of the first evaluation, and how long the training took."""
    stored = config.out / "row.json"
    if stored.is_file():
        row: dict[str, Any] = json.loads(stored.read_text())
        return row
    run = run_detect(config)
    first, *_, last = (row for row in run.history if row["split"] == "val")
    rates = [row["images_per_s"] for row in run.history if row.get("images_per_s")]
    detector = load_detector(config.out / "checkpoints" / "last.ckpt")
    images = detection_images(unseen, images=unseen.parent / "val", classes=detector.classes)
    row = {
        "arm": arm,
        "seed": seed,
        "known": chosen(last),
        "unseen": chosen(evaluate_detector(detector, images, build_fabric(config.device)).metrics),
        "first": {"step": first["step"], **chosen(first)},
        "steps": last["step"],
        "images_per_s": round(statistics.median(rates), 2),
        "training_minutes": round(last["step"] * config.batch / statistics.harmonic_mean(rates) / 60, 1),
    }
    write_text(stored, json.dumps(row, indent=1) + "\n")
    return row


def chosen(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those of `FIGURES` that there are."""
    return {name: round(metrics[name], 2) for name in FIGURES if name in metrics}


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and spread over the seeds of every arm, and of the differences between arms of the same seed."""
    of_arm: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        of_arm.setdefault(row["arm"], {})[row["seed"]] = row
    arms = {
        arm: {
            **{part: _over_seeds([row[part] for row in members.values()]) for part in SETS},
            **_over_seeds([{"training_minutes": row["training_minutes"]} for row in members.values()]),
        }
        for arm, members in of_arm.items()
    }
    gains = {}
    for title, (one, other) in GAINS.items():
        pairs = [
            (row, of_arm[other][seed]) for seed, row in of_arm.get(one, {}).items() if seed in of_arm.get(other, {})
        ]
        if pairs:
            gains[title] = {
                part: _over_seeds(
                    [{name: own[part][name] - less[part][name] for name in own[part]} for own, less in pairs]
                )
                for part in SETS
            }
    return {"arms": arms, "gains": gains}


def _over_seeds(figures: list[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """By the figure's name."""
    result = {}
    for name in figures[0]:
        values = [one[name] for one in figures]
        result[name] = {
            "mean": round(statistics.mean(values), 2),
            "spread": [round(min(values), 2), round(max(values), 2)],
            "seeds": len(values),
        }
    return result


def main() -> None:
    """Train what is not trained yet, print and store the figures."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    work = Path(options.get("work", "runs/bench-detection"))
    train, val = int(options.get("train", 1000)), int(options.get("val", 200))
    rows = []
    for seed in (seeds := [int(word) for word in options.get("seeds", "0,1,2").split(",")]):
        scenes = build_scenes(
            work / str(seed) / "data",
            forms=("detect",),
            detect=(train + val, val),
            classes=CLASSES,
            px=SCENE_PX,
            seed=seed,
        )
        files = set_apart(scenes.directory / "detect", val)
        weights = pretrained(seed, options, work)
        for arm in options.get("arms", ",".join(ARMS)).split(","):
            if arm == DINO and seed != min(seeds):
                continue
            config = arm_config(arm, seed, files, weights, options, work)
            rows.append(measure(arm, seed, config, files["unseen"]))
            print(json.dumps(rows[-1]), flush=True)
    summary = summarise(rows)
    print(json.dumps(summary, indent=1))
    if "out" in options:
        px, epochs = options.get("px", "160"), options.get("epochs", "6")
        result = {
            "command": f"python -m benchmarks.detection {as_typed(options)}",
            "scale": f"fastitpn_nano at {px} px, {train} scenes to train on for {epochs} epochs, "
            f"{val} known and {val} unseen ones to validate on, {CLASSES} classes",
            **describe_machine(),
            "summary": summary,
            "rows": rows,
        }
        Path(options["out"]).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
