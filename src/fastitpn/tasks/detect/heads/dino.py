"""DINO: its keys, and what it is made with."""

from dataclasses import dataclass
from typing import Any

from fastitpn.config.types import Count
from fastitpn.tasks.detect.heads.keys import DetectorKeys
from fastitpn.tasks.heads import HeadSpec


@dataclass(frozen=True, kw_only=True)
class DINOKeys(DetectorKeys):
    """Detector: dino."""

    name: str = "dino"
    queries: Count = 300
    """Objects that are found in an image at most (published: 900)."""
    layers: Count = 6
    """Layers of the encoder, and of the decoder."""


def _arguments(keys: DINOKeys, dim: int, px: int) -> dict[str, Any]:
    return {"queries": keys.queries, "encoder_layers": keys.layers, "decoder_layers": keys.layers}


def _build(*inputs: Any, **settings: Any) -> Any:
    from fastitpn.tasks.detect.heads.dino_detector import DINO  # with transformers, which takes seconds

    return DINO(*inputs, **settings)


DINO = HeadSpec(keys=DINOKeys, arguments=_arguments, build=_build)
