"""The report of a fine-tuned classifier."""

from typing import TYPE_CHECKING

from fastitpn.config import to_yaml
from fastitpn.config.runs import ClassifyConfig
from fastitpn.data.images.folders import LabelledImages
from fastitpn.reporting.charts import curves, metric_title
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Grid, Picture, Section
from fastitpn.reporting.timing import evaluation_time, timing_section, training_time
from fastitpn.reporting.values import Value
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.run import Run
from fastitpn.runs.trained_model import load_classifier
from fastitpn.tasks.classify.evaluation import evaluate_classifier
from fastitpn.training.setup import global_batch

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def write_classify_report(run: Run, config: ClassifyConfig, val: LabelledImages, fabric: "Fabric") -> None:
    """Evaluate the best checkpoint in detail and write `report.html`."""
    assert run.best_checkpoint is not None
    classifier = load_classifier(run.best_checkpoint)
    evaluation = evaluate_classifier(classifier, val, fabric, batch=config.batch, workers=config.workers)
    drawn = [Picture(metric_title(name), curves({"": run.history}, name)) for name in ("loss", "top1", "lr")]
    sections: list[Section] = [
        Grid("Training", drawn),
        *evaluation.sections(),
        *timing_section(
            training_time(run.history, global_batch(config)), evaluation_time(evaluation.seconds, len(val))
        ),
        Code("Configuration", to_yaml(config)),
        Facts("Environment", describe_environment(fabric.device)),
    ]
    summary: list[tuple[str, Value, str]] = [
        ("top-1 accuracy", round(evaluation.metrics["top1"], 1), f"percent, best checkpoint, {len(val)} images"),
        ("classes", len(evaluation.classes), ""),
        ("started from", config.weights.name if config.weights else "random weights", ""),
        ("steps", run.history[-1]["step"] if run.history else 0, ""),
        acceleration_figure(classifier.model.acceleration),
    ]
    write_report(run.directory / "report.html", title="Classification", summary=summary, sections=sections)
