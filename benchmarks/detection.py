"""What pre-training is worth to detection, and what the acceleration costs it: Mask R-CNN on composed scenes.

    python -m benchmarks.detection [key=value ...]

Scenes in COCO's format with masks: 10 classes, 160 to 176 px, up to six objects each (`fastitpn.data.scenes`). They are
evaluated on two sets of `val` scenes. `known` are other scenes of the glyphs and photographs that are trained on: what
one finds whose cameras and products stay the same. `unseen` has other glyphs on other photographs, of the same classes:
a fox where there were a wolf and a dog. `weights` is a pre-training of the same seed, so that it has not seen those
either; without it `fastitpn_nano` is pre-trained first (`benchmarks.harness.starts`). Every arm trains for the same
steps over the same images in the same order, but those of `TIMES`, which train longer. The figures are those of the
last step, not of the best: nothing is chosen on the images that are validated on. At 160 px an image has 100 tokens, of
which `balanced` keeps 40; at 224 px it has 196 and keeps 79. `dino` has the published width, three layers in place
of six, and six epochs, for the first seed alone: at the width of the pyramid, 64, it had 4.8 box AP by hand.

What is done is kept in `work`, and rows in `out`; the same command typed again goes on where it stopped.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import fastitpn
from benchmarks.harness.arms import ArmOptions, arm_keys, pace_of
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row, once
from benchmarks.harness.starts import pretrained
from benchmarks.harness.summary import by_arm, each_over_seeds, over_seeds, paired_differences, pairs_of_arms
from fastitpn.config.types import Count, ImagePx, Positive
from fastitpn.data.scenes import build_scenes
from fastitpn.files import write_text

BATCH, REGIONS = 4, 64
CLASSES, SCENE_PX = 10, (160, 176)
SETS = ("known", "unseen")
FIGURES = ("box_ap", "box_ap50", "box_ap75", "mask_ap", "mask_ap50", "mask_ap75")
PRETRAINED, SCRATCH, FRESH, BALANCED, DINO = "pre-trained", "scratch", "fresh-pyramid", "balanced", "dino"
PRETRAINED_2X, SCRATCH_2X = "pre-trained-2x", "scratch-2x"
PRETRAINED_224, BALANCED_224 = "pre-trained-224", "balanced-224"
_RCNN: dict[str, Any] = {"detector": {"name": "mask_rcnn", "regions": REGIONS}}
ARMS: dict[str, dict[str, Any]] = {
    PRETRAINED: _RCNN,
    SCRATCH: _RCNN | {"scratch": True},
    FRESH: _RCNN | {"weights_strict": False},
    BALANCED: _RCNN | {"acceleration": "balanced"},
    PRETRAINED_2X: _RCNN,
    SCRATCH_2X: _RCNN | {"scratch": True},
    PRETRAINED_224: _RCNN | {"px": 224},
    BALANCED_224: _RCNN | {"px": 224, "acceleration": "balanced"},
    DINO: {
        "detector": {"name": "dino", "queries": 300, "layers": 3, "width": 256},
        "clip_grad": 0.1,
        "lr": 3e-4,
        "epochs": 6,
    },
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
IDENTITY = ("arm", "seed")


@dataclass(frozen=True, kw_only=True)
class Options(ArmOptions):
    """Detection."""

    arms: tuple[Literal[*ARMS], ...] = tuple(ARMS)
    """What to train."""

    epochs: Positive = 6
    train: Count = 1000
    val: Count = 200
    px: ImagePx = 160
    work: Path = Path("runs/bench-detection")
    workers: int = 2


def set_apart(folder: Path, known: int) -> dict[str, Path]:
    """Files of annotations: "train", "known" (the last `known` of the training scenes) and "unseen"."""
    every = json.loads((folder / "annotations_train.json").read_text())
    parts = {"train": every["images"][:-known], "known": every["images"][-known:]}
    files = {"unseen": folder / "annotations_val.json"}
    for name, images in parts.items():
        ids = {image["id"] for image in images}
        annotations = [annotation for annotation in every["annotations"] if annotation["image_id"] in ids]
        files[name] = folder / f"{name}.json"
        write_text(files[name], json.dumps({**every, "images": images, "annotations": annotations}))
    return files


def keys_of(arm: str, seed: int, files: Mapping[str, Path], weights: Path, options: Options) -> dict[str, Any]:
    """What an arm trains: all is equal but `ARMS` and `TIMES`, and where the weights come from."""
    return {
        "data": files["train"],
        "val": files["known"],
        "images": files["train"].parent / "train",
        "batch": BATCH,
        "layer_decay": 1.0,  # the same for all, those from nothing among them
        **arm_keys(options, arm, seed, weights, ARMS[arm], times=TIMES.get(arm, 1)),
    }


def measure(arm: str, seed: int, keys: Mapping[str, Any], unseen: Path) -> Row:
    """Figures of the last step on both sets, those of the first evaluation, and how long the training took."""
    run = fastitpn.finetune("detect", **keys)
    first, *_, last = (row for row in run.history if row["split"] == "val")
    evaluation = fastitpn.evaluate(
        run.directory / "checkpoints" / "last.ckpt",
        unseen,
        images=unseen.parent / "val",
        device=keys["device"],
        workers=0,
        out=run.directory / "unseen",
    )
    return {
        "arm": arm,
        "seed": seed,
        "known": chosen(last),
        "unseen": chosen(evaluation.metrics),
        "first": {"step": first["step"], **chosen(first)},
        **pace_of(run, BATCH),
    }


def chosen(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those of `FIGURES` that there are."""
    return {name: round(metrics[name], 2) for name in FIGURES if name in metrics}


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Mean and spread over the seeds of every arm, and of the differences between arms of the same seed."""
    rows = list(rows)
    arms = {
        arm: {
            **{part: each_over_seeds(row[part] for row in of_seed.values()) for part in SETS},
            "training_minutes": over_seeds(row["training_minutes"] for row in of_seed.values()),
        }
        for arm, of_seed in by_arm(rows).items()
    }
    gains = {
        title: {
            part: each_over_seeds(paired_differences(row[part], other[part]) for row, other in of_seed.values())
            for part in SETS
        }
        for title, of_seed in pairs_of_arms(rows, GAINS).items()
    }
    return {"arms": arms, "gains": gains}


def run(options: Options) -> None:
    """Trains what is not trained yet, prints and stores the figures."""
    scale = (
        f"fastitpn_nano at {options.px} px, {options.train} scenes to train on for {options.epochs:g} epochs, "
        f"{options.val} known and {options.val} unseen ones to validate on, {CLASSES} classes"
    )
    results = Results(
        options, lambda rows: {"scale": scale, "summary": summarise(rows)}, identity=IDENTITY, device=options.device
    )
    for seed in options.seeds:
        arms = [arm for arm in options.arms if arm != DINO or seed == min(options.seeds)]
        arms = [arm for arm in arms if not results.has(arm, seed)]
        if not arms:
            continue
        scenes = build_scenes(
            options.work / str(seed) / "data",
            forms=("detect",),
            detect=(options.train + options.val, options.val),
            classes=CLASSES,
            px=SCENE_PX,
            seed=seed,
        )
        files = set_apart(scenes.directory / "detect", options.val)
        weights = pretrained(seed, options, options.weights)
        for arm in arms:
            keys = keys_of(arm, seed, files, weights, options)
            results.add(once(keys["out"] / "row.json", options, partial(measure, arm, seed, keys, files["unseen"])))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
