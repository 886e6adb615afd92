"""`fastitpn evaluate` for every task: how good a trained model is. The checkpoint says for which task."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastitpn.config import to_yaml
from fastitpn.console import say
from fastitpn.data.images.folders import left_out
from fastitpn.data.images.keys import ImageKeys
from fastitpn.data.images.reading import reads_images, settle_range
from fastitpn.files import write_text
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Text
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.timing import evaluation_time, timing_section
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.runs.trained_model import TrainedCheckpoint
from fastitpn.tasks.evaluation import Evaluation
from fastitpn.tasks.intervals import interval_of
from fastitpn.tasks.keys import EvaluateConfig, FinetuneConfig
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.run_data import read_again, settings_for_evaluation
from fastitpn.tasks.spec import TaskSpec
from fastitpn.training.processes.devices import build_fabric

EVALUATION, REPORT = "evaluation.json", "report.html"


def run_evaluation(config: EvaluateConfig, checkpoint: TrainedCheckpoint) -> Evaluation:
    """Evaluate a checkpoint on data, print the metrics and write them to `out`.

    Args:
        config: Keys of the checkpoint's task; without data the images are those that its run was validated on.
        checkpoint: The trained model's checkpoint, which `config.checkpoint` names.

    Raises:
        InputError: The checkpoint, the data or the folder `out` is wrong.
    """
    check_no_run(config.out)
    if config.data is not None:
        return _evaluate(config, checkpoint, None)
    run = settings_for_evaluation(checkpoint)
    return _evaluate(replace(config, image=run.image) if config.image == ImageKeys() else config, checkpoint, run)


@reads_images
def _evaluate(config: EvaluateConfig, checkpoint: TrainedCheckpoint, run: FinetuneConfig | None) -> Evaluation:
    spec: TaskSpec[Any, Any, Any] = TASKS.spec_of(checkpoint.task, checkpoint.path)
    trained = spec.resized(
        load_trained(checkpoint, config.acceleration, fit=config.fit, compile=config.compile), config
    )
    settle_range(config.image, (), trained.about.pixel_range)
    if run is None:
        images = spec.evaluation_images(config, trained)
    else:
        images = read_again(spec, run, checkpoint).val
        say(f"without data: the {len(images):,} images that the run was validated on")
    if left := (left_out(config.data) if run is None else left_out(run.data, run.val)).line():
        say(left)
    settle_range(config.image, spec.image_files(images), trained.about.pixel_range)
    make_folder(config.out)
    fabric = build_fabric(config.device, precision=config.precision)
    evaluation = spec.evaluate(
        trained, images, fabric, config=config, batch=config.batch, workers=config.workers, progress=True
    )
    for table in evaluation.tables():
        print_table(table)
    for warning in evaluation.warnings():
        say(f"warning: {warning}")
    interval = interval_of(evaluation, spec.metrics(trained.about))
    if interval is not None:
        say(interval.line())
    acceleration = trained.acceleration
    content = {**evaluation.to_json(), "acceleration": acceleration.to_dict()}
    if interval is not None:
        content["interval"] = interval.to_json()
    write_text(config.out / EVALUATION, json.dumps(content, indent=1) + "\n")
    more = evaluation.files()
    for name, plain in more.items():
        write_text(config.out / name, json.dumps(plain) + "\n")
    classes = f"{len(evaluation.classes)} classes" if evaluation.classes else ""
    whose = "" if run is None else "validation images of the run"
    write_report(
        config.out / REPORT,
        title=f"Evaluation: {_run_name(config.checkpoint)}",
        subtitle=f"{config.checkpoint} on {config.data or 'validation images of the run'}",
        summary=[
            *evaluation.summary(),
            *([interval.headline()] if interval else []),
            ("images", evaluation.num_images, ", ".join(filter(None, (classes, whose)))),
            acceleration_figure(acceleration),
        ],
        sections=[
            *(Text("Warning", warning) for warning in evaluation.warnings()),
            *evaluation.sections(),
            *timing_section(evaluation_time(evaluation.seconds, evaluation.num_images)),
            Code("Configuration", to_yaml(config)),
            Facts("Environment", describe_environment(fabric.device)),
        ],
    )
    written = [str(config.out / name) for name in (EVALUATION, *more)]
    say(f"written: {', '.join(written)} and {config.out / REPORT}")
    return evaluation


def _run_name(checkpoint: Path) -> str:
    """The name of a run, of its folder or of a checkpoint inside of it; of another file its own."""
    path = checkpoint.resolve()
    return path.parent.parent.name if path.parent.name == "checkpoints" else path.stem
