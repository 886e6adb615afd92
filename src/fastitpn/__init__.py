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
    "Acceleration": "fastitpn.models.acceleration",
    "Gathering": "fastitpn.models.gathering",
    "Migration": "fastitpn.models.migration",
    "load_weights": "fastitpn.models.weights",
    "LoadReport": "fastitpn.models.weights",
    "to_official_names": "fastitpn.models.official_names",
    "create_pretraining_model": "fastitpn.pretraining.model",
    "pretrain": "fastitpn.engine.verbs",
    "cache_features": "fastitpn.engine.verbs",
    "convert_data": "fastitpn.engine.verbs",
    "shard_data": "fastitpn.engine.verbs",
    "finetune": "fastitpn.engine.verbs",
    "evaluate": "fastitpn.engine.verbs",
    "export": "fastitpn.exporters.verbs",
    "report": "fastitpn.engine.verbs",
    "demo": "fastitpn.engine.verbs",
    "app": "fastitpn.application.verbs",
    "benchmark": "fastitpn.benchmarking.verbs",
    "predict": "fastitpn.inference.verbs",
    "inspect": "fastitpn.inference.verbs",
    "doctor": "fastitpn.diagnosis.verbs",
    "visualize": "fastitpn.visualization.verbs",
    "load": "fastitpn.inference.predictor",
    "Predictor": "fastitpn.inference.predictor",
    "DetectPredictor": "fastitpn.inference.detect_predictor",
    "SegmentPredictor": "fastitpn.inference.segment_predictor",
    "Run": "fastitpn.engine.run",
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
