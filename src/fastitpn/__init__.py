"""Fast-iTPN: a vision backbone whose feature pyramid is pre-trained with it.

Importing the package registers its models with timm. Everything else is imported when it is first used.
"""

import importlib
import sys
from pathlib import PurePath
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "create_model": "fastitpn.models.registry",
    "Acceleration": "fastitpn.models.acceleration.settings",
    "Gathering": "fastitpn.models.acceleration.gathering",
    "Migration": "fastitpn.models.acceleration.migration",
    "load_weights": "fastitpn.models.weights.loading",
    "LoadReport": "fastitpn.models.weights.loading",
    "to_official_names": "fastitpn.models.weights.official_names",
    "create_pretraining_model": "fastitpn.pretraining.model",
    "pretrain": "fastitpn.commands.verbs",
    "cache_features": "fastitpn.commands.verbs",
    "convert_data": "fastitpn.commands.verbs",
    "shard_data": "fastitpn.commands.verbs",
    "finetune": "fastitpn.commands.verbs",
    "evaluate": "fastitpn.commands.verbs",
    "export": "fastitpn.commands.export_verbs",
    "report": "fastitpn.commands.verbs",
    "demo": "fastitpn.commands.verbs",
    "app": "fastitpn.commands.app_verbs",
    "benchmark": "fastitpn.commands.benchmark_verbs",
    "predict": "fastitpn.commands.inference_verbs",
    "inspect": "fastitpn.commands.inference_verbs",
    "doctor": "fastitpn.commands.diagnosis_verbs",
    "visualize": "fastitpn.commands.visualization_verbs",
    "load": "fastitpn.tasks.classify.predictor",
    "Predictor": "fastitpn.tasks.classify.predictor",
    "DetectPredictor": "fastitpn.tasks.detect.predictor",
    "SegmentPredictor": "fastitpn.tasks.segment.predictor",
    "Run": "fastitpn.runs.run",
    "FastITPNError": "fastitpn.errors",
    "InputError": "fastitpn.errors",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'fastitpn' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})


if PurePath(sys.argv[0] if getattr(sys, "argv", None) else "").name != "fastitpn":
    # in the command's own process each verb imports the models itself, so that `--help` answers at once
    importlib.import_module("fastitpn.models.registry")
