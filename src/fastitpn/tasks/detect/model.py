"""Detectors from plain types, as checkpoints hold them."""

from collections.abc import Mapping
from typing import Any, cast

from fastitpn.models.registry import create_model
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.detect.heads.registry import DETECTORS


def create_detector(model: Mapping[str, Any], detector: Mapping[str, Any], num_classes: int, **extra: Any) -> Detector:
    """Build a detector.

    Args:
        model: "name" and "arguments" of `create_model`.
        detector: "name", one of `DETECTORS`, and "arguments" of it.
        num_classes: How many classes it tells apart.
        **extra: Arguments of `create_model` that are not kept, such as `drop_path_rate`.
    """
    arguments = {**model["arguments"], **extra, "num_classes": 0, "global_pool": ""}
    backbone = create_model(model["name"], pyramid=True, **arguments)
    build = DETECTORS[detector["name"]].build
    return cast(Detector, build(backbone, num_classes, **detector["arguments"]))
