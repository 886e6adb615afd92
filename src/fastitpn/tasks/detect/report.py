"""The report of a network that was fine-tuned for detection."""

from typing import TYPE_CHECKING

from fastitpn.config import to_yaml
from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.reporting.charts import curves, metric_title
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Grid, Picture, Section
from fastitpn.reporting.timing import evaluation_time, timing_section, training_time
from fastitpn.reporting.values import Value
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.run import Run
from fastitpn.tasks.detect.config import DetectConfig
from fastitpn.tasks.detect.evaluation import evaluate_detector, main_figures
from fastitpn.tasks.detect.trained import load_detector
from fastitpn.training.setup import global_batch

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def write_detect_report(run: Run, config: DetectConfig, val: DetectionImages, fabric: "Fabric") -> None:
    """Evaluate the best checkpoint in detail and write `report.html`."""
    assert run.best_checkpoint is not None
    detector = load_detector(run.best_checkpoint)
    evaluation = evaluate_detector(detector, val, fabric, workers=config.workers)
    names = [name for name in ("loss", "box_ap", "mask_ap", "lr") if name == "loss" or _is_known(run, name)]
    drawn = [Picture(metric_title(name), curves({"": run.history}, name)) for name in names]
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
        *main_figures(evaluation.metrics, f"percent, best checkpoint, {len(val)} images"),
        ("classes", len(evaluation.classes), ""),
        ("detector", config.detector, ""),
        ("started from", config.weights.name if config.weights else "random weights", ""),
        ("steps", run.history[-1]["step"] if run.history else 0, ""),
        acceleration_figure(detector.model.backbone.acceleration),
    ]
    write_report(run.directory / "report.html", title="Detection", summary=summary, sections=sections)


def _is_known(run: Run, name: str) -> bool:
    return any(name in row for row in run.history)
