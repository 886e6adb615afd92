"""Mask2Former as a segmentation head: its keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fastitpn.config.types import Count
from fastitpn.tasks.heads import HeadSpec
from fastitpn.tasks.segment.heads.registry import SegmentHeadKeys

_HEAD_DIM = 32
_MOST_POINTS = 12544
"""Pixels that the losses look at for each mask, as published; of small crops one for each cell at 1/4."""


@dataclass(frozen=True, kw_only=True)
class Mask2FormerKeys(SegmentHeadKeys):
    """Head: mask2former."""

    tells_things_apart: ClassVar[bool] = True

    name: str = "mask2former"
    width: Count | None = None
    """Channels inside, a multiple of 32; none takes the pyramid's."""
    queries: Count = 100
    """Masks that it makes of an image at most."""

    def problems(self) -> list[str]:
        """Checks the width."""
        if self.width is not None and self.width % _HEAD_DIM:
            return [f"width: expected a multiple of {_HEAD_DIM} for head=mask2former, got {self.width}"]
        return []


def _arguments(keys: Mask2FormerKeys, dim: int, px: int) -> Mapping[str, Any]:
    points = min(_MOST_POINTS, (px // 4) ** 2)
    return {"width": keys.width or dim, "queries": keys.queries, "points": points}


def _build(*args: Any, **arguments: Any) -> Any:
    from fastitpn.tasks.segment.heads.mask2former_network import Mask2FormerHead

    return Mask2FormerHead(*args, **arguments)


HEAD = HeadSpec(keys=Mask2FormerKeys, arguments=_arguments, build=_build, open_size=False)
