"""What integral pre-training is worth, and which of its choices matter: trunk, pyramid, objective, teacher, masks.

    python -m benchmarks.pretraining_quality [seeds=0,1,2] [finetune_seeds=0,1,2] [stages=pretrain,finetune]
        [arms=joint;...] [tasks=segment,classify] [schedules=short,long,frozen,equal-time] [device=auto]
        [precision=auto] [work=runs/pretraining-quality] [out=benchmarks/results/pretraining_quality.json]

`joint` is pre-trained level by level (`per_level`), `merged` with the published objective; both have a pyramid. What
longer pre-training brings shows in `merged, 4x steps`. Masks are compared with `merged`, which hides a quarter.

Small scale: `fastitpn_nano` at 128 px (64 tokens), 3,000 scenes without labels (`fastitpn.data.scenes`). The teacher is
an ImageNet CNN that saw the scenes at 512 px: its features, stored once, have a cell for every 8x8 pixels of the
student's. Each pre-training of a seed sees the same images in the same order. Then few labels: a linear head on the
pyramid (segmentation), or on pooled tokens (classification), everything trained; but on the schedule `frozen` pyramid
and head alone, as many steps as on the short one.

A learning rate is chosen for each arm and task: of `LEARNING_RATES`, the best on validation scenes with the first seed,
on the short schedule, and for `scratch` on the long one too. `ABLATIONS` are on the short schedule alone, with the rate
of `joint`. On the schedule `equal-time` `scratch` takes as long as `joint` and its short fine-tuning together. All
fine-tuning seeds are used for segmentation, short and long, but for ablations; else the first alone. The figures are
those of the last step on other scenes, the test scenes. No glyph and no photograph of either is in a training or
unlabelled scene; validation and test scenes share them. A seed changes the scenes, the split by glyph and every start
value; a fine-tuning seed the order, the augmentation and the head.

What is done is kept in `work`; the same command typed again goes on where it stopped. Processes may share the work by
`seeds`, `stages`, `arms`, `tasks` and `schedules`: the first seed's fine-tuning must come before the others'. Rows that
`out` has already are kept and not run again, so that seeds may be run on different days, without the `work` of others.
"""

import itertools
import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.starts import (
    PX,
    SCENE_PX,
    TEACHER_DIMS,
    TEACHER_PX,
    UNLABELLED,
    Options,
    pretraining_keys,
    running,
    store_features,
    without_pyramid,
)
from fastitpn.config import build
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.data.classification.labelled import labelled
from fastitpn.data.scenes import SceneSet, build_scenes
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images
from fastitpn.files import write_text
from fastitpn.runs.run import Run
from fastitpn.runs.trained_model import load_classifier
from fastitpn.tasks.classify.evaluation import evaluate_classifier
from fastitpn.tasks.classify.finetune import run_classify
from fastitpn.tasks.pretrain.pretrain import run_pretrain
from fastitpn.tasks.segment.evaluation import evaluate_segmenter
from fastitpn.tasks.segment.finetune import run_segment
from fastitpn.tasks.segment.trained import load_segmenter
from fastitpn.tasks.segment.views import Views
from fastitpn.training.processes.devices import build_fabric

SEGMENT_SCENES, PER_CLASS = (240, 600), (40, 160)
VALIDATED = 4
"""One in so many of the scenes that are not trained on is for choosing a learning rate, the others are the test."""
LEARNING_RATES = (5e-4, 1e-3, 2e-3)
PRETRAIN_STEPS = 400
STEPS = {
    "classify": {"short": 60, "long": 180, "equal-time": 1000},
    "segment": {"short": 180, "long": 540, "frozen": 180, "equal-time": 4000},
}
BATCHES = {"classify": 32, "segment": 8}
EQUAL_COMPUTE = 1.7
"""What a step of `joint` costs over one of `trunk`, about: `images_per_s` of the pre-trainings tells."""
LONGER = 4
"""Times the steps, for the arms whose names say so."""

_CNN = {"mask": {"ratio": 0.25}, "loss_on": "all"}
_EMA = {
    "teacher": {"name": "ema", "whiten": True, "momentum_start": 0.99, "momentum": 0.999},
    "predictor": "mlp",
    "mask": {"kind": "random", "ratio": 0.4},
    "loss_on": "all",
    "color_jitter": 0.4,
}
PRETRAININGS: dict[str, dict[str, Any]] = {
    "joint": _CNN | {"objective": "per_level"},
    "joint-auxiliary": _CNN | {"objective": "per_level", "auxiliary": 1.0},
    "merged": _CNN,
    "merged-longer": _CNN | {"steps": LONGER * PRETRAIN_STEPS},
    "trunk": _CNN | {"objective": "trunk"},
    "trunk-equal-compute": _CNN | {"objective": "trunk", "steps": round(EQUAL_COMPUTE * PRETRAIN_STEPS)},
    "ema": _EMA,
    "mask-0": _CNN | {"mask": {"ratio": 0}},
    "mask-40": _CNN | {"mask": {"ratio": 0.4}},
    "mask-75": _CNN | {"mask": {"ratio": 0.75}},
}
ARMS: dict[str, tuple[str | None, bool]] = {
    "scratch": (None, False),
    "joint": ("joint", True),
    "joint, fresh pyramid": ("joint", False),
    "joint, auxiliary": ("joint-auxiliary", True),
    "trunk": ("trunk", False),
    "trunk, equal compute": ("trunk-equal-compute", False),
    "merged": ("merged", True),
    "merged, fresh pyramid": ("merged", False),
    "merged, 4x steps": ("merged-longer", True),
    "merged, 4x steps, fresh pyramid": ("merged-longer", False),
    "ema": ("ema", True),
    "mask 0": ("mask-0", True),
    "mask 40": ("mask-40", True),
    "mask 75": ("mask-75", True),
}
"""Which pre-training, and whether its pyramid goes along; classification has no pyramid."""
ABLATIONS = ("joint, auxiliary", "ema", "mask 0", "mask 40", "mask 75")
ARMS_OF = {
    ("classify", "short"): tuple(arm for arm in ARMS if not arm.endswith("fresh pyramid")),
    ("classify", "long"): ("scratch", "joint", "merged, 4x steps"),
    ("classify", "equal-time"): ("scratch",),
    ("segment", "short"): tuple(ARMS),
    ("segment", "long"): (
        *("scratch", "joint", "joint, fresh pyramid", "trunk", "trunk, equal compute"),
        *("merged, 4x steps", "merged, 4x steps, fresh pyramid"),
    ),
    ("segment", "frozen"): (
        *(arm for arm in ARMS if arm.startswith(("joint", "merged")) and arm != "joint, auxiliary"),
        "trunk",
    ),
    ("segment", "equal-time"): ("scratch",),
}
SEVERAL_FINETUNINGS = {("segment", "short"), ("segment", "long")}
"""Others have one fine-tuning seed, and so have `ABLATIONS`."""
FROZEN = 1e-4
"""Layer-wise decay with which the last block learns 10,000 times slower than the pyramid, and others less still."""
FIGURE = {"classify": "top1", "segment": "miou"}


def read_scenes(seed: int, work: Path) -> SceneSet:
    """The scenes of a seed; those to validate on are set apart from the test scenes by `set_apart`."""
    return build_scenes(
        work / "scenes",
        forms=("unlabelled", "classify", "segment"),
        unlabelled=UNLABELLED,
        train_per_class=PER_CLASS[0],
        val_per_class=PER_CLASS[1],
        segment=SEGMENT_SCENES,
        px=SCENE_PX,
        seed=seed,
    )


def set_apart(scenes: SceneSet, work: Path) -> dict[str, dict[str, Path]]:
    """Folders by task and by what they are for: "train", "val", "test". Files are linked, not copied."""
    found = {}
    for task in ("classify", "segment"):
        found[task] = {part: work / "labelled" / f"{task}-{part}" for part in ("train", "val", "test")}
        folder = scenes.directory / task
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
        order: dict[tuple[str, ...], int] = {}
        for path in files:
            name = path.relative_to(folder)
            # classify/PART/CLASS/FILE, or segment/images|masks/PART/FILE
            part, own = (name.parts[0], name.parts[1:]) if task == "classify" else (name.parts[1], name.parts[::2])
            if part == "val":
                number = order[own[:-1]] = order.get(own[:-1], -1) + 1
                part = "test" if number % VALIDATED else "val"
            target = found[task][part].joinpath(*own)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(path, target)
        for extra in folder.glob("*.y*ml"):  # names of the classes
            for path in found[task].values():
                (path / extra.name).write_bytes(extra.read_bytes())
    return found


def pretrain(name: str, seed: int, scenes: SceneSet, work: Path, options: Options) -> Run:
    """One of `PRETRAININGS`; an interrupted one goes on."""
    out = work / "pretrain" / name
    if (out / "result.json").is_file():
        return Run(out)
    keys = {
        **pretraining_keys(scenes.unlabelled, out, seed, options),
        "px": PX,
        "steps": PRETRAIN_STEPS,
        "warmup_steps": PRETRAIN_STEPS // 10,
    }
    own = PRETRAININGS[name]
    if "teacher" not in own:
        keys["teacher"] = store_features(
            scenes.unlabelled, work / "features", options, px=TEACHER_PX, dims=TEACHER_DIMS
        )
    return run_pretrain(build(PretrainConfig, {**keys, **own}))


def start_weights(arm: str, work: Path) -> dict[str, Any]:
    """Keys of a fine-tuning's configuration that say where its weights come from."""
    name, with_pyramid = ARMS[arm]
    if name is None:
        return {"scratch": True, "layer_decay": 1.0}  # the decay protects what was learnt before
    run = Run(work / "pretrain" / name)
    if with_pyramid:
        return {"weights": run.directory}
    file = run.directory / "trunk.pt"
    return {"weights": file if file.exists() else without_pyramid(run.directory, file), "weights_strict": False}


def finetune(
    task: str, arm: str, schedule: str, lr: float, seed: int, data: dict[str, Path], work: Path, options: Options
) -> dict[str, float]:
    """Figures of the last step: "val" and "test"."""
    steps = STEPS[task][schedule]
    out = work / "finetune" / task / schedule / short(arm) / f"{lr:g}-{seed}"
    stored = out / "figures.json"
    if stored.is_file():
        figures: dict[str, float] = json.loads(stored.read_text())
        return figures
    keys: dict[str, Any] = {
        "data": data["train"],
        "val": data["val"],
        "out": out,
        "model": "fastitpn_nano",
        "px": PX,
        "batch": BATCHES[task],
        "steps": steps,
        "warmup_steps": steps // 10,
        "lr": lr,
        "drop_path": 0.0,
        "eval_every_epochs": 10_000,
        "checkpoint_every": 10_000,
        "seed": seed,
        **running(options),
        **start_weights(arm, work),
        **({"layer_decay": FROZEN} if schedule == "frozen" else {}),
    }
    fabric = build_fabric(keys["device"], precision=keys["precision"])
    last = out / "checkpoints" / "last.ckpt"
    if task == "segment":
        run = run_segment(build(SegmentConfig, {**keys, "head": "linear"}))
        segmenter = load_segmenter(last)
        images = segmentation_images(MaskFolders(data=data["test"]), segmenter.classes)
        views = Views(px=segmenter.px, resize=segmenter.resize)
        test = evaluate_segmenter(segmenter, images, fabric, views).metrics["miou"]
    else:
        plain = {"mixup": 0, "cutmix": 0, "rand_augment": None, "random_erasing": 0, "ema": None}
        run = run_classify(build(ClassifyConfig, {**keys, **plain, "crop_scale": (0.35, 1.0)}))
        classifier = load_classifier(last)
        test = evaluate_classifier(classifier, labelled(data["test"], classifier.classes), fabric).metrics["top1"]
    figures = {"val": round(run.metrics[FIGURE[task]], 2), "test": round(test, 2)}
    write_text(stored, json.dumps(figures) + "\n")
    for path in (out / "checkpoints").iterdir():  # hundreds of fine-tunings, 50 MB each
        path.unlink()
    return figures


def rows_of(
    seed: int, first_seed: int, folder: Path, options: Options, kept: dict[tuple[Any, ...], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Fine-tunings of a seed's pre-trainings that are not `kept`, with the learning rates that the first seed chose."""
    every = [int(word) for word in options.get("finetune_seeds", "0,1,2").split(",")]
    parts = set_apart(read_scenes(seed, folder / str(seed)), folder / str(seed))
    for schedule, task, arm in itertools.product(*(words(options, key) for key in ("schedules", "tasks", "arms"))):
        if arm not in ARMS_OF.get((task, schedule), ()):
            continue
        wanted = every if (task, schedule) in SEVERAL_FINETUNINGS and arm not in ABLATIONS else every[:1]
        wanted = [number for number in wanted if (task, schedule, arm, seed, number) not in kept]
        if not wanted:
            continue
        chosen_on, chosen_by = rate_of(schedule, arm)
        choice = folder / f"lr-{task}-{chosen_on}-{short(chosen_by)}.json"
        if (first := kept.get((task, chosen_on, chosen_by, first_seed, every[0]))) is not None:
            write_text(choice, json.dumps({"chosen": first["lr"]}) + "\n")
        elif seed == first_seed and (chosen_on, chosen_by) == (schedule, arm):
            trials = {
                lr: finetune(task, arm, schedule, lr, every[0], parts[task], folder / str(seed), options)["val"]
                for lr in LEARNING_RATES
            }
            write_text(choice, json.dumps({"chosen": max(trials, key=lambda lr: trials[lr]), "val": trials}) + "\n")
        lr = json.loads(choice.read_text())["chosen"]
        for finetune_seed in wanted:
            figures = finetune(task, arm, schedule, lr, finetune_seed, parts[task], folder / str(seed), options)
            row = {"task": task, "schedule": schedule, "arm": arm, "seed": seed, "finetune_seed": finetune_seed}
            yield {**row, "lr": lr, **figures}


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a row is of."""
    return tuple(row[key] for key in ("task", "schedule", "arm", "seed", "finetune_seed"))


def rate_of(schedule: str, arm: str) -> tuple[str, str]:
    """The schedule and the arm whose learning rate is taken."""
    on = "long" if arm == "scratch" and schedule in ("long", "equal-time") else "short"
    return on, "joint" if arm in ABLATIONS else arm


def short(arm: str) -> str:
    """An arm's name in a file's."""
    return arm.replace(", ", "-").replace(" ", "-")


def words(options: Options, key: str) -> list[str]:
    """Of an option with several values."""
    every = {
        "schedules": ["short", "long", "frozen", "equal-time"],
        "tasks": ["segment", "classify"],
        "arms": list(ARMS),
    }[key]
    return options[key].split(";" if key == "arms" else ",") if key in options else every


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean test figures of every arm, and what they are above others.

    Those are `scratch`, `joint` and the same trunk's fresh pyramid on the same schedule, and for short ones also
    `scratch` on the long one. Equal time is compared with short ones.
    """
    groups: dict[tuple[str, str, str], dict[tuple[int, int], float]] = {}
    for row in rows:
        key = (row["task"], row["schedule"], row["arm"])
        groups.setdefault(key, {})[row["seed"], row["finetune_seed"]] = row["test"]
    found = []
    for (task, schedule, arm), members in groups.items():
        summary: dict[str, Any] = {"task": task, "schedule": schedule, "arm": arm, "runs": len(members)}
        summary["test"] = round(statistics.mean(members.values()), 2)
        same = "short" if schedule == "equal-time" else schedule
        for title, other, theirs in (
            ("over scratch", "scratch", same),
            ("over scratch, long", "scratch", "long" if schedule == "short" else None),
            ("over joint", "joint", same),
            ("over fresh pyramid", f"{arm}, fresh pyramid", same),
        ):
            pairs = groups.get((task, theirs, other), {}) if theirs else {}
            differences = [value - pairs[key] for key, value in members.items() if key in pairs]
            if differences and (other != arm or theirs != schedule):
                summary[title] = {
                    "mean": round(statistics.mean(differences), 2),
                    "spread": [round(min(differences), 2), round(max(differences), 2)],
                    "above_0": sum(difference > 0 for difference in differences),
                }
        found.append(summary)
    return found


def main() -> None:
    """Do what is not done yet, print and store the figures."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    folder = Path(options.get("work", "runs/pretraining-quality"))
    seeds = [int(word) for word in options.get("seeds", "0,1,2").split(",")]
    stages = options.get("stages", "pretrain,finetune").split(",")
    names = {ARMS[arm][0] for arm in words(options, "arms")} - {None}
    out = Path(options["out"]) if "out" in options else None
    kept = json.loads(out.read_text()) if out is not None and out.is_file() else {"pretrainings": [], "rows": []}
    pretrainings = kept["pretrainings"]
    for seed in seeds if "pretrain" in stages else ():
        work = folder / str(seed)
        scenes = read_scenes(seed, work)
        for name in (name for name in PRETRAININGS if name in names):
            run = pretrain(name, seed, scenes, work, options)
            rates = [row["images_per_s"] for row in run.history if row.get("images_per_s")]
            row = {"pretraining": name, "seed": seed, "images_per_s": round(statistics.median(rates), 1)}
            if row not in pretrainings:
                pretrainings.append(row)
            print(json.dumps(row), flush=True)
    rows = kept["rows"]
    identities = {identity(row): row for row in rows}
    for seed in seeds if "finetune" in stages else ():
        for row in rows_of(seed, int(options.get("first_seed", 0)), folder, options, identities):
            rows.append(row)
            print(json.dumps(row), flush=True)
    summary = summarise(rows)
    for one in summary:
        print(json.dumps(one))
    if out is not None:
        shown = " ".join(f"{key}={options[key]}" for key in ("precision", "finetune_seeds") if key in options)
        result = {
            "command": f"python -m benchmarks.pretraining_quality {shown}".strip(),
            "scale": f"fastitpn_nano at {PX} px, {UNLABELLED} scenes without labels, {PRETRAIN_STEPS} steps of 64; "
            f"{SEGMENT_SCENES[0]} scenes with masks, or {6 * PER_CLASS[0]} with a class; few labels; seeds "
            + ", ".join(map(str, sorted({row["seed"] for row in rows}))),
            **describe_machine(),
            "summary": summary,
            "pretrainings": pretrainings,
            "rows": rows,
        }
        out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
