"""UPerNet as a segmentation head: its keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastitpn.config.types import BelowOne, Count, NonNegative
from fastitpn.tasks.heads import HeadSpec
from fastitpn.tasks.segment.heads.registry import SegmentHeadKeys
from fastitpn.training.published_rate import PublishedRate

_WIDTH_OF_PYRAMID = 2
"""Channels inside where no width is given, as a multiple of the pyramid's."""


@dataclass(frozen=True, kw_only=True)
class UPerNetKeys(SegmentHeadKeys):
    """Head: upernet."""

    _before: ClassVar[Mapping[str, Any]] = {"dropout": 0.0}
    weighs_classes: ClassVar[bool] = True

    name: str = "upernet"
    width: Count | None = None
    """Channels inside; none uses twice that of the pyramid; published: 768."""
    auxiliary_weight: NonNegative = 0.4
    """Weight of the loss of the auxiliary head; 0 leaves it out."""
    dropout: BelowOne = 0.1
    """Share of channels to drop before the classifiers in training."""

    def problems_with(self, config: Any) -> list[str]:
        """Checks the batch."""
        if config.batch < 2:
            return [f"batch: expected at least 2, since upernet normalises over the batch, got {config.batch}"]
        return []


def _arguments(keys: UPerNetKeys, dim: int, px: int) -> Mapping[str, Any]:
    width = keys.width or _WIDTH_OF_PYRAMID * dim
    auxiliary = {"auxiliary_width": dim, "auxiliary_weight": keys.auxiliary_weight}
    return {"width": width, **auxiliary, "dropout": keys.dropout}


def _build(*args: Any, **arguments: Any) -> Any:
    from fastitpn.tasks.segment.heads.upernet_network import UPerNetHead

    return UPerNetHead(*args, **arguments)


HEAD = HeadSpec(keys=UPerNetKeys, arguments=_arguments, build=_build, published=PublishedRate(lr=3e-5, images=16))
