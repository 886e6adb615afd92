"""MaskDINO for instances: its keys, and what it is made with."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from fastitpn.config.types import Count
from fastitpn.tasks.detect.heads.keys import DetectorKeys
from fastitpn.tasks.heads import HeadSpec, points_of_masks, width_problems
from fastitpn.training.published_rate import PublishedRate


@dataclass(frozen=True, kw_only=True)
class MaskDINOKeys(DetectorKeys):
    """Detector: maskdino."""

    name: str = "maskdino"
    queries: Count = 300
    """Objects in an image, at most."""
    layers: Count | None = None
    """Layers of the encoder, and of the decoder; none uses 6 and 9, as published."""
    width: Count | None = None
    """Channels inside, a multiple of 32; none uses that of the pyramid (published: 256)."""
    denoising: Annotated[int, Field(ge=0)] = 100
    """Noised boxes that training learns to denoise; 0 leaves it out."""

    def problems(self) -> list[str]:
        """Checks the width."""
        return width_problems(self.width, "detector=maskdino")


def _arguments(keys: MaskDINOKeys, dim: int, px: int) -> dict[str, Any]:
    both = {"encoder_layers": keys.layers, "decoder_layers": keys.layers} if keys.layers else {}
    points = points_of_masks(px)
    shared = {"queries": keys.queries, "denoising": keys.denoising, "points": points}
    return {"width": keys.width or dim, **shared, **both}


def _build(*inputs: Any, **settings: Any) -> Any:
    from fastitpn.tasks.detect.heads.maskdino_detector import MaskDINO  # with transformers, which takes seconds

    return MaskDINO(*inputs, **settings)


MASKDINO = HeadSpec(
    keys=MaskDINOKeys, arguments=_arguments, build=_build, needs_masks=True, published=PublishedRate(lr=1e-4, images=16)
)
