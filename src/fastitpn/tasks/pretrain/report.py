"""The report of a pre-training: curves, and what student and teacher see."""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fastitpn.config import to_yaml
from fastitpn.config.values import show
from fastitpn.data.datasets import SeededDataset, collate
from fastitpn.listing import matching
from fastitpn.models.acceleration.settings import resolve_acceleration
from fastitpn.models.layers.cells import cells_to_map
from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.registry import TEACHERS
from fastitpn.pretraining.teachers.several_teachers import SeveralTeachers
from fastitpn.reporting.charts import curves
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.pictures import masked_rows, to_pictures
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Grid, Picture, Section
from fastitpn.reporting.timing import timing_section, training_time
from fastitpn.reporting.values import Value
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.run import Run
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.pixel import reconstructions
from fastitpn.tasks.pretrain.probe import KNN
from fastitpn.tasks.pretrain.snapshots import SNAPSHOTS
from fastitpn.tasks.pretrain.task import AGREEMENT, PretrainTask
from fastitpn.training.metric import Metric, describe_metric
from fastitpn.training.setup import global_batch
from fastitpn.training.task import Batch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PICTURES = 6


def write_pretrain_report(
    run: Run, config: PretrainConfig, task: PretrainTask, dataset: SeededDataset, fabric: "Fabric"
) -> None:
    """Write `report.html` of a complete run."""
    drawn = [Picture(metric.title, curves({"": run.history}, metric)) for metric in _curves(run)]
    sections: list[Section] = [Grid("Training", drawn, "With the cosine loss, -1 is a perfect prediction.")]
    if config.pictures:
        sections.append(Picture("What student and teacher see", draw_views(run, config, task, dataset)))
        sections += _progress(run)
    sections += [
        *timing_section(training_time(run.history, global_batch(config))),
        Code("Configuration", to_yaml(config)),
        Facts("Environment", describe_environment(fabric.device)),
    ]
    summary = [
        ("final loss", run.metrics.get("train_loss"), f"{_loss(task)}, {config.loss_on} patches"),
        *_probed(run),
        ("images", len(dataset), "without labels"),
        *_teachers(config, task.teacher),
        ("model", config.model, f"{show(config.px)} px"),
        acceleration_figure(resolve_acceleration(task.describe()["acceleration"])),
    ]
    title = f"Pre-training: {run.directory.name}"
    write_report(run.directory / "report.html", title=title, summary=summary, sections=sections)


def _loss(task: PretrainTask) -> str:
    return task.loss if isinstance(task.loss, str) else " and ".join(dict.fromkeys(task.loss.values()))


def _teachers(config: PretrainConfig, teacher: Teacher) -> list[tuple[str, Value, str]]:
    if not isinstance(teacher, SeveralTeachers):
        return [("teacher", config.teacher.name.removeprefix("timm:"), f"{teacher.dim} features a patch")]
    return [
        (
            f"teacher{number}",
            name.removeprefix("timm:"),
            f"{member.teacher.dim} features, {' and '.join(member.levels)}",
        )
        for number, (name, member) in enumerate(
            zip(TEACHERS.apart(config.teacher.name), teacher.members, strict=True), 1
        )
    ]


def _probed(run: Run) -> list[tuple[str, Value, str]]:
    if KNN.name not in run.metrics:
        return []
    return [(KNN.title, round(run.metrics[KNN.name], 1), "percent, of the probe's images")]


def _curves(run: Run) -> list[Metric]:
    """What is drawn over the steps: losses, and what else was watched."""
    names = {name for row in run.history for name in row}
    levels = sorted(name for name in names if name.startswith("loss_"))
    drawn = ["loss", *levels, *(name for name in ("target_rank", AGREEMENT.name, KNN.name) if name in names), "lr"]
    return [describe_metric(name, (KNN, AGREEMENT)) for name in drawn]


def _progress(run: Run) -> list[Section]:
    """The levels at each step that pictures were taken at."""
    pictures = matching(run.directory / SNAPSHOTS, "step-*.png")
    if not pictures:
        return []
    drawn = [Picture(f"after step {int(path.stem[5:])}", Image.open(path).convert("RGB")) for path in pictures]
    caption = (
        "Strides 4, 8, 16 from left to right, an image in each row; colours are the main components of each level."
    )
    return [Grid("The pyramid while it learns", drawn, caption)]


def shown_batch(dataset: SeededDataset) -> Batch:
    """The images that are drawn: spread evenly over the data, with their augmentation in the first epoch."""
    keys = [(0, int(i)) for i in np.linspace(0, len(dataset) - 1, min(PICTURES, len(dataset)))]
    return collate([dataset[key] for key in keys])


def draw_views(run: Run, config: PretrainConfig, task: PretrainTask, dataset: SeededDataset) -> Image.Image:
    """Rows of image, masked image, target, prediction and the finest pyramid level, of images of the run."""
    checkpoint = run.last_checkpoint or run.best_checkpoint
    assert checkpoint is not None
    content = load_checkpoint(checkpoint)
    task.trained_model.load_state_dict(content["weights"])
    task.load_extra_state(content.get("training", {}).get("task", {}))
    task.to("cpu").eval()
    batch = shown_batch(dataset)
    seen = task.look(batch)
    side = config.model_px // 16
    images = to_pictures(batch["image"], config.mean, config.std)
    level = cells_to_map(seen["level4"], side, side)
    if task.teacher.of_pixels:
        return reconstructions(config, batch["image"], batch["masked"], seen["prediction"], level)
    return masked_rows(images, batch["masked"], seen["target"], seen["prediction"], level)
