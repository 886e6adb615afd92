"""Mask2Former as a segmentation head: its keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastitpn.config.types import Count
from fastitpn.tasks.heads import HeadSpec, points_of_masks, width_problems
from fastitpn.tasks.segment.heads.registry import SegmentHeadKeys


@dataclass(frozen=True, kw_only=True)
class Mask2FormerKeys(SegmentHeadKeys):
    """Head: mask2former."""

    tells_things_apart: ClassVar[bool] = True

    name: str = "mask2former"
    width: Count | None = None
    """Channels inside, a multiple of 32; none uses that of the pyramid."""
    queries: Count = 100
    """Masks in an image, at most."""

    def problems(self) -> list[str]:
        """Checks the width."""
        return width_problems(self.width, "head=mask2former")


def _arguments(keys: Mask2FormerKeys, dim: int, px: int) -> Mapping[str, Any]:
    points = points_of_masks(px)
    return {"width": keys.width or dim, "queries": keys.queries, "points": points}


def _build(*args: Any, **arguments: Any) -> Any:
    from fastitpn.tasks.segment.heads.mask2former_network import Mask2FormerHead

    return Mask2FormerHead(*args, **arguments)


HEAD = HeadSpec(keys=Mask2FormerKeys, arguments=_arguments, build=_build, open_size=False)
