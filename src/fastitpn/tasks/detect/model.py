"""Detectors by name."""

from collections.abc import Callable, Mapping
from typing import Any

from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model
from fastitpn.tasks.detect.heads.base import Detector


def _mask_rcnn(backbone: FastITPN, num_classes: int, **arguments: Any) -> Detector:
    from fastitpn.tasks.detect.heads.rcnn import RCNN

    return RCNN(backbone, num_classes, masks=True, **arguments)


def _faster_rcnn(backbone: FastITPN, num_classes: int, **arguments: Any) -> Detector:
    from fastitpn.tasks.detect.heads.rcnn import RCNN

    return RCNN(backbone, num_classes, masks=False, **arguments)


def _cascade_mask_rcnn(backbone: FastITPN, num_classes: int, **arguments: Any) -> Detector:
    from fastitpn.tasks.detect.heads.rcnn import RCNN

    return RCNN(backbone, num_classes, masks=True, cascade=True, **arguments)


def _dino(backbone: FastITPN, num_classes: int, **arguments: Any) -> Detector:
    from fastitpn.tasks.detect.heads.dino import DINO  # with transformers, which takes seconds

    return DINO(backbone, num_classes, **arguments)


def _mask2former(backbone: FastITPN, num_classes: int, **arguments: Any) -> Detector:
    from fastitpn.tasks.detect.heads.mask2former import Mask2Former  # likewise

    return Mask2Former(backbone, num_classes, **arguments)


DETECTORS: dict[str, Callable[..., Detector]] = {
    "mask_rcnn": _mask_rcnn,
    "faster_rcnn": _faster_rcnn,
    "cascade_mask_rcnn": _cascade_mask_rcnn,
    "dino": _dino,
    "mask2former": _mask2former,
}
"""By the name that `detector=` takes."""

WITH_MASKS = frozenset({"mask_rcnn", "cascade_mask_rcnn", "mask2former"})
"""Detectors that learn and give masks."""


def create_detector(model: Mapping[str, Any], detector: Mapping[str, Any], num_classes: int, **extra: Any) -> Detector:
    """Build a detector from plain types, as checkpoints hold them.

    Args:
        model: "name" and "arguments" of `create_model`.
        detector: "name", one of `DETECTORS`, and "arguments" of it.
        num_classes: Classes.
        **extra: Arguments of `create_model` that are not kept, such as `drop_path_rate`.
    """
    arguments = {**model["arguments"], **extra, "num_classes": 0, "global_pool": ""}
    backbone = create_model(model["name"], pyramid=True, **arguments)
    return DETECTORS[detector["name"]](backbone, num_classes, **detector["arguments"])
