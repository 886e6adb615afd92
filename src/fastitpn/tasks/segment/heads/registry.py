"""The segmentation heads by name, and the keys that all of them share."""

from dataclasses import dataclass
from typing import Any, ClassVar

from fastitpn.registry import Registry
from fastitpn.tasks.heads import HeadKeys

HEADS: Registry[Any] = Registry(
    "segmentation head",
    {
        "linear": "fastitpn.tasks.segment.heads.linear:HEAD",
        "upernet": "fastitpn.tasks.segment.heads.upernet:HEAD",
        "mask2former": "fastitpn.tasks.segment.heads.mask2former:HEAD",
        "maskdino": "fastitpn.tasks.segment.heads.maskdino:HEAD",
    },
)
"""By the name that `head=` takes; the members are `HeadSpec`s, whose `build` takes the channels of each level, the
number of classes, and its arguments, and gives a `SegmentationHead`."""


@dataclass(frozen=True, kw_only=True)
class SegmentHeadKeys(HeadKeys):
    """Head.

    Attributes:
        tells_things_apart: Whether it can learn a panoptic segmentation.
        weighs_classes: Whether its `losses` take the weights of classes.
    """

    _variants = HEADS
    tells_things_apart: ClassVar[bool] = False
    weighs_classes: ClassVar[bool] = False

    name: str = "upernet"
    """Head on the pyramid: linear is fastest, upernet slower, mask2former and maskdino slowest."""
