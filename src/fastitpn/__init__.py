"""Fast-iTPN: a vision backbone whose feature pyramid is pre-trained with it.

Importing the package registers its models with timm, for when that is imported. All else is imported when first used.
"""

import importlib
from typing import Any

from fastitpn.models.timm_import import register_with_timm

__version__ = "0.1.0"

_PUBLIC = {
    "create_model": "fastitpn.models.registry",
    "Acceleration": "fastitpn.models.acceleration.settings",
    "Gathering": "fastitpn.models.acceleration.gathering",
    "Migration": "fastitpn.models.acceleration.migration",
    "load_weights": "fastitpn.models.weights.loading",
    "LoadReport": "fastitpn.models.weights.report",
    "to_official_names": "fastitpn.models.weights.official_names",
    "create_pretraining_model": "fastitpn.pretraining.model",
    "pretrain": "fastitpn.commands.pretrain",
    "cache_features": "fastitpn.commands.pretrain",
    "convert_data": "fastitpn.commands.data",
    "shard_data": "fastitpn.commands.data",
    "finetune": "fastitpn.commands.finetune",
    "evaluate": "fastitpn.commands.evaluate",
    "export": "fastitpn.commands.export",
    "report": "fastitpn.commands.report",
    "demo": "fastitpn.commands.demo",
    "app": "fastitpn.commands.app",
    "benchmark": "fastitpn.commands.benchmark",
    "predict": "fastitpn.commands.predict",
    "inspect": "fastitpn.commands.inspect",
    "doctor": "fastitpn.commands.doctor",
    "visualize": "fastitpn.commands.visualize",
    "load": "fastitpn.tasks.predicting",
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


register_with_timm()
