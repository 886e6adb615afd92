"""Checkpoints of every task and kind of head, with random weights that decide clearly: nothing is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.models.acceleration.settings import resolve_acceleration
from fastitpn.runs.checkpoint import save_checkpoint
from fastitpn.runs.description import ModelDescription
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.detect.description import DetectorDescription
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.segment.description import SegmenterDescription

CLASSES = ("sky", "cat", "dog")
PX = 64
_MODEL: dict[str, Any] = {"name": "fastitpn_nano", "arguments": {"img_size": PX, "depths": (1, 1, 2)}}
_SMALL = {"width": 32, "queries": 12, "encoder_layers": 1, "decoder_layers": 1}
_REGIONS = {"box_width": 32, "mask_width": 16, "anchor_scale": 4, "proposals": 30, "min_score": 0.0}
_SHARED: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "px": PX}


def _classifier(thresholds: tuple[float, ...] | None = None) -> tuple[str, ModelDescription]:
    model = {**_MODEL, "arguments": {**_MODEL["arguments"], "num_classes": len(CLASSES)}}
    about = ClassifierDescription(model=model, classes=CLASSES, thresholds=thresholds, **_SHARED)
    return "classify", about


def _segmenter(
    head: str, arguments: dict[str, Any], things: tuple[bool, ...] | None = None
) -> tuple[str, ModelDescription]:
    described = {"name": head, "arguments": arguments, "features": "pyramid"}
    classes = SegmentationClasses(names=CLASSES, colors=((0, 0, 0), (0, 0, 9), (9, 0, 0)), things=things)
    return "segment", SegmenterDescription(model=_MODEL, head=described, classes=classes, resize=True, **_SHARED)


def _detector(head: str, arguments: dict[str, Any]) -> tuple[str, ModelDescription]:
    classes = DetectionClasses(names=CLASSES, ids=(3, 5, 8))
    described = {"name": head, "arguments": arguments}
    return "detect", DetectorDescription(model=_MODEL, detector=described, classes=classes, max_px=96, **_SHARED)


MADE: dict[str, Callable[[], tuple[str, ModelDescription]]] = {
    "classifier": _classifier,
    "multilabel": lambda: _classifier((0.5, 0.4, 0.6)),
    "linear": lambda: _segmenter("linear", {}),
    "mask2former": lambda: _segmenter("mask2former", _SMALL),
    "panoptic": lambda: _segmenter("maskdino", _SMALL, (False, True, True)),
    "dino": lambda: _detector("dino", _SMALL),
    "maskdino": lambda: _detector("maskdino", _SMALL),
    "mask2former_detector": lambda: _detector("mask2former", _SMALL),
    "mask_rcnn": lambda: _detector("mask_rcnn", _REGIONS),
}


def make_checkpoint(name: str, folder: Path, acceleration: str = "off") -> Path:
    """A checkpoint of a kind."""
    task, about = MADE[name]()
    torch.manual_seed(0)
    model = TASKS.spec(task).create(about)
    for part, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and part.endswith(("head", "classifier", "class_embed", "cls")):
            nn.init.normal_(module.weight, std=0.5)
    for part, module in model.named_modules():
        if part.endswith(("class_embed.0", "class_predictor", "cls_score", "class_embedding")):
            nn.init.normal_(module.weight, std=0.5)
    chosen = resolve_acceleration(acceleration).to_dict()
    content = {"task": task, **about.to_dict(), "acceleration": chosen, "weights": model.state_dict()}
    path = folder / f"{name}.ckpt"
    save_checkpoint(path, {**content, "step": 3, "metrics": {}, "config": {"data": "/nowhere/at/all"}})
    return path
