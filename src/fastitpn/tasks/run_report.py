"""The report of a fine-tuned network: curves, what its evaluation shows, and how it was made."""

from collections.abc import Sized
from typing import TYPE_CHECKING, Any

from fastitpn.config import to_yaml
from fastitpn.console import say
from fastitpn.reporting.charts import curves
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Grid, Picture, Section, Text
from fastitpn.reporting.timing import evaluation_time, timing_section, training_time
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.run import Run
from fastitpn.tasks.evaluation import Headline
from fastitpn.tasks.intervals import interval_of
from fastitpn.tasks.keys import FinetuneConfig
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.spec import TaskSpec
from fastitpn.training.metric import LOSS, describe_metric
from fastitpn.training.setup import global_batch

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def write_run_report(
    spec: TaskSpec[Any, Any, Any], run: Run, config: FinetuneConfig, val: Sized, fabric: "Fabric", *, steps: int
) -> None:
    """Evaluate the best checkpoint in detail and write `report.html`; `steps` are those that the run was to have."""
    assert run.best_checkpoint is not None
    done = run.history[-1]["step"] if run.history else 0
    early = f"of {steps}: ended early, no better value in {config.patience} validations" if done < steps else ""
    trained = load_trained(run.best_checkpoint, task=spec.name)
    say(f"evaluating the best checkpoint on {len(val)} images for the report")
    evaluation = spec.evaluate(trained, val, fabric, batch=config.batch, workers=config.workers, progress=True)
    interval = interval_of(evaluation, spec.metrics(trained.about))
    logged = {name for row in run.history for name in row}
    shown = [LOSS, *(metric for metric in spec.curves(trained.about) if metric.name in logged), describe_metric("lr")]
    for warning in evaluation.warnings():
        say(f"warning: {warning}")
    sections: list[Section] = [
        *(Text("Warning", warning) for warning in evaluation.warnings()),
        Grid("Training", [Picture(metric.title, curves({"": run.history}, metric)) for metric in shown]),
        *evaluation.sections(),
        *timing_section(
            training_time(run.history, global_batch(config)), evaluation_time(evaluation.seconds, len(val))
        ),
        Code("Configuration", to_yaml(config)),
        Facts("Environment", describe_environment(fabric.device)),
    ]
    summary: list[Headline] = [
        *evaluation.headlines(f"percent, best checkpoint, {len(val)} images"),
        *([interval.headline()] if interval else []),
        *([("classes", len(evaluation.classes), "")] if evaluation.classes else []),
        *((name, value, "") for name, value in spec.facts(config).items()),
        ("started from", config.weights.name if config.weights else "random weights", ""),
        ("steps", done, early),
        acceleration_figure(trained.acceleration),
    ]
    write_report(
        run.directory / "report.html", title=f"{spec.title}: {run.directory.name}", summary=summary, sections=sections
    )
