"""`model.json`: what one must know to use an exported file."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import fastitpn
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.parity import Parity
from fastitpn.exporting.shapes import PATCH, Shapes
from fastitpn.exporting.subject import Subject
from fastitpn.files import write_text
from fastitpn.runs.exported_folder import FORMAT, checksums, what_a_checkpoint_says


def describe(
    config: ExportConfig, subject: Subject, shapes: Shapes, file: Path, parity: Parity, figures: dict[str, Any]
) -> dict[str, Any]:
    """Plain types; no paths.

    Args:
        config: Configuration of the export.
        subject: The model that was exported.
        shapes: Sizes of the input that the file takes.
        file: The file, in a folder that has nothing else but what belongs to it.
        parity: How far it is from the model.
        figures: More of what was measured; those that are None are left out.
    """
    about: dict[str, Any] = {
        "format": FORMAT,
        "file": file.name,
        "runtime": config.format,
        **checksums(file.parent, file.name),
        "task": subject.task,
        "model": subject.model["name"],
        "acceleration": subject.backbone.acceleration.to_dict(),
        "precision": config.precision,
        "input": {
            "name": "images",
            "shape": shapes.describe(),
            "fewest_images": shapes.batches[0],
            "dynamic": shapes.dynamic,
            "dtype": "float32",
            "multiple_of": PATCH,
            "colours": "RGB, values from 0 to 1, less mean, divided by std",
        },
        "outputs": list(subject.network.outputs),
        "px": list(subject.px),
        "view": subject.describe_view(),
        "mean": list(subject.mean),
        "std": list(subject.std),
        "image_range": subject.image_range,
        "classes": None if subject.classes is None else list(subject.classes),
    }
    if subject.whole is not None:
        about |= subject.whole.describe()
    about["parity"] = parity.to_json()
    about |= {name: value for name, value in figures.items() if value is not None}
    about["trained"] = _trained(subject)
    about["made_with"] = {"fastitpn": fastitpn.__version__, "torch": metadata.version("torch")}
    return about


def _trained(subject: Subject) -> dict[str, Any] | None:
    """What a checkpoint says beside its weights, at the size and with the acceleration of the file.

    It makes a model of the folder; None where there is nothing to predict.
    """
    if not subject.is_whole:
        return None
    acceleration = subject.backbone.acceleration.to_dict()
    return {**what_a_checkpoint_says(subject.training), "acceleration": acceleration}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A file that people can read."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
