"""Detectors by name: each is a file with a `HeadSpec`, and a line here."""

from typing import Any

from fastitpn.registry import Registry
from fastitpn.tasks.heads import HeadSpec

_HEADS = "fastitpn.tasks.detect.heads"

DETECTORS: Registry[HeadSpec[Any]] = Registry(
    "detector",
    {
        "mask_rcnn": f"{_HEADS}.rcnn:MASK_RCNN",
        "faster_rcnn": f"{_HEADS}.rcnn:FASTER_RCNN",
        "cascade_mask_rcnn": f"{_HEADS}.rcnn:CASCADE_MASK_RCNN",
        "dino": f"{_HEADS}.dino:DINO",
        "mask2former": f"{_HEADS}.mask2former:MASK2FORMER",
        "maskdino": f"{_HEADS}.maskdino:MASKDINO",
    },
)
"""`build` of each makes a `Detector` of a backbone with its pyramid, the number of classes, and its arguments."""
