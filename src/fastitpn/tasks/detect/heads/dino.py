"""DINO: its keys, and what it is made with."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from fastitpn.config.types import Count, Positive
from fastitpn.tasks.detect.heads.keys import DetectorKeys
from fastitpn.tasks.heads import HeadSpec, width_problems
from fastitpn.training.published_rate import PublishedRate


@dataclass(frozen=True, kw_only=True)
class DINOKeys(DetectorKeys):
    """Detector: dino."""

    name: str = "dino"
    queries: Count = 300
    """Objects in an image, at most (published: 900)."""
    layers: Count = 6
    """Layers of the encoder, and of the decoder."""
    neck: Literal["pyramid", "published"] = "pyramid"
    """Input levels: those of our pyramid, or the published projections with another, coarser level."""
    width: Count | None = None
    """Channels inside, a multiple of 32; none uses that of the pyramid (published: 256)."""
    denoising: Annotated[int, Field(ge=0)] = 100
    """Noised boxes that training learns to denoise, as published; 0 leaves it out."""
    box_noise: Positive = 1.0
    """Noise of these boxes, in halves of their width and height."""

    def problems(self) -> list[str]:
        """Checks the width."""
        return width_problems(self.width, "detector=dino")


def _arguments(keys: DINOKeys, dim: int, px: int) -> dict[str, Any]:
    return {
        "width": keys.width or dim,
        "neck": keys.neck,
        "queries": keys.queries,
        "denoising": keys.denoising,
        "box_noise": keys.box_noise,
        "encoder_layers": keys.layers,
        "decoder_layers": keys.layers,
    }


def _build(*inputs: Any, **settings: Any) -> Any:
    if "width" not in settings:  # checkpoints of version 0.1 do not have it
        from fastitpn.tasks.detect.heads.earlier_dino import EarlierDINO

        return EarlierDINO(*inputs, **settings)
    from fastitpn.tasks.detect.heads.dino_detector import DINO  # with transformers, which takes seconds

    return DINO(*inputs, **settings)


DINO = HeadSpec(keys=DINOKeys, arguments=_arguments, build=_build, published=PublishedRate(lr=1e-4, images=16))
