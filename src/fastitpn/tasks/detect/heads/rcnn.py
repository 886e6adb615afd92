"""Faster, Mask and Cascade R-CNN: their keys, and what they are made with."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from fastitpn.config.types import Count, Positive
from fastitpn.tasks.detect.heads.keys import DetectorKeys
from fastitpn.tasks.heads import HeadSpec
from fastitpn.training.published_rate import PublishedRate

_PUBLISHED_PX = 800
_ANCHOR_SCALES, _REGIONS, _PROPOSALS = (4.0, 8.0), (64, 512), (200, 1000)
"""Where none are given, in proportion to px: from the least to the most, which is published for 800 px."""


@dataclass(frozen=True, kw_only=True)
class RCNNKeys(DetectorKeys):
    """Detector: R-CNN."""

    anchor_scale: Positive | None = None
    """Size of the anchors in strides of their level; none uses px / 100, from 4 to 8 (published: 8 at 800)."""
    regions: Count | None = None
    """Regions of an image to learn from; none uses 0.64 px, from 64 to 512 (published: 512 at 800)."""
    box_head: Literal["mlp", "conv"] = "mlp"
    """Before classes and boxes: two layers, or four convolutions with batch norm and a layer (published for iTPN)."""
    box_loss: Literal["smooth_l1", "giou"] = "smooth_l1"
    """Loss of the boxes: of their offsets, or of their overlap, ten times (published for iTPN)."""
    region_loss: Literal["smooth_l1", "l1"] = "smooth_l1"
    """Loss of the proposed regions (published for iTPN: l1)."""
    sampling: Annotated[int, Field(ge=0)] = 2
    """Points along each edge of a cell of a region; 0 uses one for each pixel of its level (published for iTPN)."""


@dataclass(frozen=True, kw_only=True)
class CascadeKeys(RCNNKeys):
    """Detector: cascade."""

    own_regions: bool = False
    """Regions, boxes for each class and a mask head for each stage (published); else shared with the first stage."""


def _rcnn(*, masks: bool, cascade: bool = False) -> HeadSpec[RCNNKeys]:
    def arguments(keys: RCNNKeys, dim: int, px: int) -> dict[str, Any]:
        sizes: dict[str, Any] = {
            "anchor_scale": keys.anchor_scale or _in_proportion(px, *_ANCHOR_SCALES),
            "regions": keys.regions or round(_in_proportion(px, *_REGIONS)),
            "proposals": round(_in_proportion(px, *_PROPOSALS)),
            "box_width": 4 * dim,  # as published for 256 channels
            "box_head": keys.box_head,
            "box_loss": keys.box_loss,
            "region_loss": keys.region_loss,
            "sampling": keys.sampling,
        }
        if isinstance(keys, CascadeKeys):
            sizes["own_regions"] = keys.own_regions
        return {**sizes, "mask_width": dim} if masks else sizes

    def build(*inputs: Any, **settings: Any) -> Any:
        from fastitpn.tasks.detect.heads.rcnn_detector import RCNN

        return RCNN(*inputs, masks=masks, cascade=cascade, **settings)

    keys = CascadeKeys if cascade else RCNNKeys
    return HeadSpec(
        keys=keys,
        arguments=arguments,
        build=build,
        needs_masks=masks,
        exports="one",
        open_size=False,
        published=PublishedRate(lr=1e-4 if cascade else 2e-4, images=64),
    )


def _in_proportion(px: int, least: float, most: float) -> float:
    return min(most, max(least, most * px / _PUBLISHED_PX))


MASK_RCNN = _rcnn(masks=True)
FASTER_RCNN = _rcnn(masks=False)
CASCADE_MASK_RCNN = _rcnn(masks=True, cascade=True)
