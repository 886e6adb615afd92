"""Mask2Former for instances: its keys, and what it is made with."""

from dataclasses import dataclass
from typing import Any

from fastitpn.config.types import Count
from fastitpn.tasks.detect.heads.keys import DetectorKeys
from fastitpn.tasks.heads import HeadSpec, points_of_masks


@dataclass(frozen=True, kw_only=True)
class Mask2FormerKeys(DetectorKeys):
    """Detector: mask2former."""

    name: str = "mask2former"
    queries: Count = 100
    """Objects in an image, at most."""
    layers: Count | None = None
    """Layers of the encoder, and of the decoder; none uses 6 and 9, as published."""


def _arguments(keys: Mask2FormerKeys, dim: int, px: int) -> dict[str, Any]:
    both = {"encoder_layers": keys.layers, "decoder_layers": keys.layers} if keys.layers else {}
    return {"width": dim, "queries": keys.queries, "points": points_of_masks(px), **both}


def _build(*inputs: Any, **settings: Any) -> Any:
    from fastitpn.tasks.detect.heads.mask2former_detector import Mask2Former  # with transformers, which takes seconds

    return Mask2Former(*inputs, **settings)


MASK2FORMER = HeadSpec(keys=Mask2FormerKeys, arguments=_arguments, build=_build, needs_masks=True, open_size=False)
