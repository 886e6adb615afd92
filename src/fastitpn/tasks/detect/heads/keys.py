"""The key that all detectors have; each adds its own in a subclass, in its file."""

from dataclasses import dataclass

from fastitpn.tasks.detect.heads.registry import DETECTORS
from fastitpn.tasks.heads import HeadKeys


@dataclass(frozen=True, kw_only=True)
class DetectorKeys(HeadKeys):
    """Detector."""

    _variants = DETECTORS

    name: str = "mask_rcnn"
    """Detector on the pyramid; mask_rcnn, cascade_mask_rcnn, mask2former and maskdino need masks."""
