"""What integral pre-training is worth, and which of its choices matter: trunk, pyramid, objective, teacher, masks.

    python -m benchmarks.pretraining_quality [key=value ...]

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import fastitpn
from benchmarks.harness.options import Seeds, TrainingOptions, split_arms, start, unknown_arms
from benchmarks.harness.results import Results, Row, once, write_json
from benchmarks.harness.starts import (
    PX,
    SCENE_PX,
    TEACHER_DIMS,
    TEACHER_PX,
    UNLABELLED,
    machine_keys,
    pretraining_keys,
    store_features,
    without_pyramid,
)
from benchmarks.harness.summary import mean_and_spread, paired_differences
from fastitpn.data.scenes import SceneSet, build_scenes

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
KEYS: dict[str, dict[str, Any]] = {
    "classify": {
        **{"mixup": 0, "cutmix": 0, "rand_augment": None, "random_erasing": 0, "ema": None},
        "crop_scale": (0.35, 1.0),
    },
    "segment": {"head": "linear"},
}
"""Of a fine-tuning for one task alone."""
SCHEDULES, TASKS, STAGES = ("short", "long", "frozen", "equal-time"), ("segment", "classify"), ("pretrain", "finetune")
IDENTITY = ("task", "schedule", "arm", "seed", "finetune_seed")


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """Quality of a pre-training."""

    _unwritten = (
        *TrainingOptions._unwritten,
        *("finetune_seeds", "first_seed", "stages", "tasks", "schedules", "device", "workers"),
    )

    finetune_seeds: Seeds = (0, 1, 2)
    """Each changes the order, the augmentation and the head; the first one is for choosing learning rates."""
    first_seed: int = 0
    """The seed on whose validation scenes learning rates are chosen."""
    stages: tuple[Literal[*STAGES], ...] = STAGES
    """What to do."""
    arms: str | None = None
    """Which arms, separated by semicolons ("scratch;joint;joint, fresh pyramid"); none takes all of them."""
    tasks: tuple[Literal[*TASKS], ...] = TASKS
    """What to fine-tune for."""
    schedules: tuple[Literal[*SCHEDULES], ...] = SCHEDULES
    """How long, and what of the network; see above."""
    work: Path = Path("runs/pretraining-quality")

    def problems(self) -> list[str]:
        """Names no arm that there is not."""
        return unknown_arms(self.arms, ARMS)


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
    folders = {}
    for task in ("classify", "segment"):
        folders[task] = {part: work / "labelled" / f"{task}-{part}" for part in ("train", "val", "test")}
        folder = scenes.directory / task
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
        order: dict[tuple[str, ...], int] = {}
        for path in files:
            name = path.relative_to(folder)
            # classify/PART/CLASS/FILE, or segment/images|masks/PART/FILE
            part, place = (name.parts[0], name.parts[1:]) if task == "classify" else (name.parts[1], name.parts[::2])
            if part == "val":
                number = order[place[:-1]] = order.get(place[:-1], -1) + 1
                part = "test" if number % VALIDATED else "val"
            target = folders[task][part].joinpath(*place)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(path, target)
        for extra in folder.glob("*.y*ml"):  # names of the classes
            for path in folders[task].values():
                (path / extra.name).write_bytes(extra.read_bytes())
    return folders


def pretrain(name: str, seed: int, scenes: SceneSet, work: Path, options: Options) -> fastitpn.Run:
    """One of `PRETRAININGS`; an interrupted one goes on."""
    out = work / "pretrain" / name
    if (out / "result.json").is_file():
        return fastitpn.Run(out)
    keys = {
        **pretraining_keys(scenes.unlabelled, out, seed, options),
        "px": PX,
        "steps": PRETRAIN_STEPS,
        "warmup_steps": PRETRAIN_STEPS // 10,
    }
    if "teacher" not in PRETRAININGS[name]:
        keys["teacher"] = store_features(
            scenes.unlabelled, work / "features", options, px=TEACHER_PX, dims=TEACHER_DIMS
        )
    return fastitpn.pretrain(**{**keys, **PRETRAININGS[name]})


def start_weights(arm: str, work: Path) -> dict[str, Any]:
    """Keys of a fine-tuning's configuration that say where its weights come from."""
    name, with_pyramid = ARMS[arm]
    if name is None:
        return {"scratch": True, "layer_decay": 1.0}  # the decay protects what was learnt before
    folder = work / "pretrain" / name
    if with_pyramid:
        return {"weights": folder}
    file = folder / "trunk.pt"
    return {"weights": file if file.exists() else without_pyramid(folder, file), "weights_strict": False}


def finetune(
    task: str, arm: str, schedule: str, lr: float, seed: int, data: dict[str, Path], work: Path, options: Options
) -> Row:
    """Figures of the last step: "val" and "test"."""
    out = work / "finetune" / task / schedule / short(arm) / f"{lr:g}-{seed}"

    def measure() -> Row:
        steps = STEPS[task][schedule]
        keys: dict[str, Any] = {
            "data": data["train"],
            "val": data["val"],
            "out": out,
            "defaults": "fixed",
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
            **KEYS[task],
            **machine_keys(options),
            **start_weights(arm, work),
            **({"layer_decay": FROZEN} if schedule == "frozen" else {}),
        }
        run = fastitpn.finetune(task, **keys)
        machine = machine_keys(options) | {"workers": 0}
        test = fastitpn.evaluate(out / "checkpoints" / "last.ckpt", data["test"], out=out / "test", **machine)
        for path in (out / "checkpoints").iterdir():  # hundreds of fine-tunings, 50 MB each
            path.unlink()
        name = FIGURE[task]
        return {"val": round(run.metrics[name], 2), "test": round(test.metrics[name], 2)}

    return once(out / "figures.json", options, measure)


def rows_of(seed: int, options: Options, kept: dict[tuple[Any, ...], Row]) -> Iterator[Row]:
    """Fine-tunings of a seed's pre-trainings that are not `kept`, with the learning rates that the first seed chose."""
    every, work = options.finetune_seeds, options.work / str(seed)
    parts = set_apart(read_scenes(seed, work), work)
    for schedule, task, arm in itertools.product(options.schedules, options.tasks, split_arms(options.arms, ARMS)):
        if arm not in ARMS_OF.get((task, schedule), ()):
            continue
        wanted = every if (task, schedule) in SEVERAL_FINETUNINGS and arm not in ABLATIONS else every[:1]
        wanted = [number for number in wanted if (task, schedule, arm, seed, number) not in kept]
        if not wanted:
            continue
        figures = partial(finetune, task, arm, schedule, data=parts[task], work=work, options=options)
        chosen_on, chosen_by = rate_of(schedule, arm)
        choice = options.work / f"lr-{task}-{chosen_on}-{short(chosen_by)}.json"
        if (first := kept.get((task, chosen_on, chosen_by, options.first_seed, every[0]))) is not None:
            write_json(choice, {"chosen": first["lr"]})
        elif seed == options.first_seed and (chosen_on, chosen_by) == (schedule, arm):
            trials = {lr: figures(lr=lr, seed=every[0])["val"] for lr in LEARNING_RATES}
            write_json(choice, {"chosen": max(trials, key=lambda lr: trials[lr]), "val": trials})
        lr = json.loads(choice.read_text())["chosen"]
        for finetune_seed in wanted:
            row = {"task": task, "schedule": schedule, "arm": arm, "seed": seed, "finetune_seed": finetune_seed}
            yield {**row, "lr": lr, **figures(lr=lr, seed=finetune_seed)}


def rate_of(schedule: str, arm: str) -> tuple[str, str]:
    """The schedule and the arm whose learning rate is taken."""
    on = "long" if arm == "scratch" and schedule in ("long", "equal-time") else "short"
    return on, "joint" if arm in ABLATIONS else arm


def short(arm: str) -> str:
    """An arm's name in a file's."""
    return arm.replace(", ", "-").replace(" ", "-")


def summarise(rows: Iterable[Row]) -> list[Row]:
    """Mean test figures of every arm, and what they are above others.

    Those are `scratch`, `joint` and the same trunk's fresh pyramid on the same schedule, and for short ones also
    `scratch` on the long one. Equal time is compared with short ones.
    """
    groups: dict[tuple[str, str, str], dict[tuple[int, int], float]] = {}
    for row in rows:
        key = (row["task"], row["schedule"], row["arm"])
        groups.setdefault(key, {})[row["seed"], row["finetune_seed"]] = row["test"]
    summaries = []
    for (task, schedule, arm), members in groups.items():
        summary: Row = {"task": task, "schedule": schedule, "arm": arm, "runs": len(members)}
        summary["test"] = round(statistics.mean(members.values()), 2)
        same = "short" if schedule == "equal-time" else schedule
        for title, other, theirs in (
            ("over scratch", "scratch", same),
            ("over scratch, long", "scratch", "long" if schedule == "short" else None),
            ("over joint", "joint", same),
            ("over fresh pyramid", f"{arm}, fresh pyramid", same),
        ):
            pairs = groups.get((task, theirs, other), {}) if theirs else {}
            differences = paired_differences(members, pairs).values()
            if differences and (other != arm or theirs != schedule):
                above_0 = sum(difference > 0 for difference in differences)
                summary[title] = {**mean_and_spread(differences), "above_0": above_0}
        summaries.append(summary)
    return summaries


def describe(rows: list[Row], pretrainings: list[Row]) -> dict[str, Any]:
    """What the results say beside the rows of the fine-tunings."""
    return {
        "scale": f"fastitpn_nano at {PX} px, {UNLABELLED} scenes without labels, {PRETRAIN_STEPS} steps of 64; "
        f"{SEGMENT_SCENES[0]} scenes with masks, or {6 * PER_CLASS[0]} with a class; few labels; seeds "
        + ", ".join(map(str, sorted({row["seed"] for row in rows}))),
        "summary": summarise(rows),
        "pretrainings": pretrainings,
    }


def run(options: Options) -> None:
    """Does what is not done yet, prints and stores the figures."""
    pretrainings: list[Row] = []
    results = Results(options, partial(describe, pretrainings=pretrainings), identity=IDENTITY, device=options.device)
    pretrainings += results.stored.get("pretrainings", [])
    names = {ARMS[arm][0] for arm in split_arms(options.arms, ARMS)}
    for seed in options.seeds if "pretrain" in options.stages else ():
        work = options.work / str(seed)
        scenes = read_scenes(seed, work)
        for name in (name for name in PRETRAININGS if name in names):
            history = pretrain(name, seed, scenes, work, options).history
            rates = [row["images_per_s"] for row in history if row.get("images_per_s")]
            row = {"pretraining": name, "seed": seed, "images_per_s": round(statistics.median(rates), 1)}
            if row not in pretrainings:
                pretrainings.append(row)
            print(json.dumps(row), flush=True)
    kept = results.by_identity()
    for seed in options.seeds if "finetune" in options.stages else ():
        for row in rows_of(seed, options, kept):
            results.add(row)
    results.finish()


if __name__ == "__main__":
    start(Options, run)
