"""MaskDINO as a segmentation head: its keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from fastitpn.config.types import Count
from fastitpn.tasks.heads import HeadSpec, points_of_masks, width_problems
from fastitpn.tasks.segment.heads.registry import SegmentHeadKeys
from fastitpn.training.published_rate import PublishedRate

_PANOPTIC = {"two_stage": True, "no_object": False, "queries": 300, "levels": 4, "coarse_first": False}
_PANOPTIC_RATIO = 8


@dataclass(frozen=True, kw_only=True)
class MaskDINOKeys(SegmentHeadKeys):
    """Head: maskdino."""

    tells_things_apart: ClassVar[bool] = True

    name: str = "maskdino"
    width: Count | None = None
    """Channels inside, a multiple of 32; none uses that of the pyramid (published: 256)."""
    queries: Count | None = None
    """Masks in an image, at most; none uses 100, and 300 with panoptic=true, as published."""
    layers: Count | None = None
    """Layers of the encoder, and of the decoder; none uses 6 and 9, as published."""
    denoising: Annotated[int, Field(ge=0)] = 100
    """Noised boxes that training learns to denoise; 0 leaves it out."""

    def problems(self) -> list[str]:
        """Checks the width."""
        return width_problems(self.width, "head=maskdino")


def _arguments(keys: MaskDINOKeys, dim: int, px: int) -> Mapping[str, Any]:
    points = points_of_masks(px)
    given = {"queries": keys.queries, "encoder_layers": keys.layers, "decoder_layers": keys.layers}
    given = {name: number for name, number in given.items() if number is not None}
    return {"width": keys.width or dim, "denoising": keys.denoising, "points": points, **given}


def _build(*args: Any, **arguments: Any) -> Any:
    from fastitpn.tasks.segment.heads.maskdino_network import MaskDINOHead

    return MaskDINOHead(*args, **arguments)


HEAD = HeadSpec(
    keys=MaskDINOKeys,
    arguments=_arguments,
    build=_build,
    panoptic={**_PANOPTIC, "encoder_ratio": _PANOPTIC_RATIO},
    half=False,
    published=PublishedRate(lr=1e-4, images=16),
)
