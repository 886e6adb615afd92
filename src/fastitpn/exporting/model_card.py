"""The card of a model in a folder for timm and transformers: what it is, what was measured, how it is used."""

from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

import fastitpn
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.parity import Parity
from fastitpn.exporting.subject import Subject
from fastitpn.runs.acceleration import trained_acceleration
from fastitpn.training.metric import describe_metric

_SETTINGS = ("model", "px", "epochs", "steps", "batch", "lr", "weight_decay", "layer_decay", "seed")
_ACCURACY = "top1"
"""The metric that the hub knows as `accuracy`."""
_BY_SHORT_NAME = (_ACCURACY, "top5")


def model_card(name: str, subject: Subject, parity: Parity, quality: dict[str, Any] | None) -> str:
    """The text of `README.md`.

    Args:
        name: Name of the model on the hub.
        subject: The model that was exported.
        parity: How far what timm loads is from it.
        quality: What `measure_quality` gave; None where nothing was measured.
    """
    figures: list[tuple[str, str, str]] = []
    if quality is not None:
        figures.append((*_figure(subject, quality["metric"], quality["file"]), quality["images"]))
    figures += [
        (*_figure(subject, name, value), _on(subject))
        for name, value in subject.metrics.items()
        if isinstance(value, int | float)
    ]
    figures.append(("largest relative difference, timm to fastitpn", f"{parity.difference:.1e}", parity.pictures))
    wrapper = "TimmWrapperForImageClassification" if subject.is_classifier else "TimmWrapperModel"
    variable = "classifier" if subject.is_classifier else "encoder"
    template = Environment(loader=PackageLoader("fastitpn.exporting", "."), undefined=StrictUndefined).get_template(
        "model_card.md.j2"
    )
    return template.render(
        front_matter=yaml.safe_dump(_front_matter(name, subject, quality), sort_keys=False, allow_unicode=True),
        title=name,
        sentence=f"A Fast-iTPN {'backbone for features' if subject.whole is None else subject.whole.noun}:",
        whole=subject.is_whole,
        head=subject.head,
        model=subject.model["name"],
        millions=round(sum(p.numel() for p in subject.backbone.parameters()) / 1e6, 1),
        version=fastitpn.__version__,
        classes=", ".join(subject.classes) if subject.classes is not None and len(subject.classes) <= 20 else "",
        figures=figures,
        training=_training(subject),
        px=f"{subject.px[0]} x {subject.px[1]} px",
        mean=list(subject.mean),
        std=list(subject.std),
        acceleration=subject.backbone.acceleration.describe(),
        classes_of_transformers=f"AutoBackbone, TimmBackboneConfig, {wrapper}",
        lines_of_transformers=f'{variable} = {wrapper}.from_pretrained("FOLDER").eval()',
        out_indices=list(range(len(subject.backbone.feature_info))),
    )


def _front_matter(name: str, subject: Subject, quality: dict[str, Any] | None) -> dict[str, Any]:
    """What the hub reads of a card."""
    task = (Exportable if subject.whole is None else subject.whole).hub_task
    content: dict[str, Any] = {"library_name": "timm", "pipeline_tag": task, "tags": [task, "timm", "transformers"]}
    if subject.is_whole:
        content["tags"].append("fastitpn")
    top1, images = subject.metrics.get(_ACCURACY), _on(subject)
    if quality is not None and _ACCURACY in quality["metrics"]:
        top1, images = quality["metrics"][_ACCURACY]["file"], quality["images"]
    if top1 is not None:
        result = {
            "task": {"type": task},
            "dataset": {"type": "imagefolder", "name": images},
            "metrics": [{"type": "accuracy", "name": "top-1", "value": round(top1, 2)}],
        }
        content["model-index"] = [{"name": name, "results": [result]}]
    return content


def _training(subject: Subject) -> str:
    """What is worth knowing of the settings; paths stay private."""
    settings = subject.training.get("config", {})
    shown = [f"{key} {settings[key]}" for key in _SETTINGS if settings.get(key) is not None]
    teacher = settings.get("teacher") or {}
    if isinstance(teacher, dict) and str(teacher.get("name", "")).startswith(("timm:", "ema")):
        shown.append(f"teacher {teacher['name']}")
    return ", ".join(shown)


def _on(subject: Subject) -> str:
    trained, now = trained_acceleration(subject.training, subject.source), subject.backbone.acceleration
    note = "" if trained == now else f", with acceleration {trained.name}"
    return f"the validation images of the training, step {subject.training.get('step', '?')}{note}"


def _figure(subject: Subject, name: str, value: float) -> tuple[str, str]:
    """What was measured, and its value with the unit."""
    metric = describe_metric(name, subject.measured)
    title = metric.short if name in _BY_SHORT_NAME else metric.title
    return title, f"{value:.2f} {metric.unit}" if metric.unit else f"{value:.4g}"
