"""The report of a network that was fine-tuned for segmentation."""

from typing import TYPE_CHECKING

from fastitpn.config import to_yaml
from fastitpn.data.segmentation.images import MaskedImages
from fastitpn.reporting.charts import curves, metric_title
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Grid, Picture, Section
from fastitpn.reporting.timing import evaluation_time, timing_section, training_time
from fastitpn.reporting.values import Value
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.runs.run import Run
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.tasks.segment.evaluation import evaluate_masks
from fastitpn.tasks.segment.trained import load_segmenter
from fastitpn.tasks.segment.views import Views
from fastitpn.training.setup import global_batch

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def write_segment_report(run: Run, config: SegmentConfig, val: MaskedImages, fabric: "Fabric") -> None:
    """Evaluate the best checkpoint in detail and write `report.html`."""
    assert run.best_checkpoint is not None
    segmenter = load_segmenter(run.best_checkpoint)
    views = Views(px=segmenter.px, resize=segmenter.resize)
    evaluation = evaluate_masks(segmenter, val, fabric, views, workers=config.workers)
    main, second = ("pq", "rq") if config.panoptic else ("miou", "pixel_accuracy")
    drawn = [Picture(metric_title(name), curves({"": run.history}, name)) for name in ("loss", main, "lr")]
    sections: list[Section] = [
        Grid("Training", drawn),
        *evaluation.sections(segmenter),
        *timing_section(
            training_time(run.history, global_batch(config)), evaluation_time(evaluation.seconds, len(val))
        ),
        Code("Configuration", to_yaml(config)),
        Facts("Environment", describe_environment(fabric.device)),
    ]
    summary: list[tuple[str, Value, str]] = [
        (metric_title(main), round(evaluation.metrics[main], 1), f"percent, best checkpoint, {len(val)} images"),
        (metric_title(second), round(evaluation.metrics[second], 1), "percent"),
        ("classes", len(evaluation.classes), ""),
        ("head", config.head, ""),
        ("started from", config.weights.name if config.weights else "random weights", ""),
        ("steps", run.history[-1]["step"] if run.history else 0, ""),
        acceleration_figure(segmenter.model.backbone.acceleration),
    ]
    write_report(run.directory / "report.html", title="Segmentation", summary=summary, sections=sections)
