"""Boxes and masks of instances as COCO's files have them: read and checked; masks packed and unpacked."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor

from fastitpn.data.detection.annotations import Rle

EDGE_PX = 1.0
"""Boxes and polygons may leave their image by this much: files round, and some count pixels from 1."""


_LARGEST = 1e12

Box = tuple[float, float, float, float]


class BoxError(ValueError):
    """A box that cannot be used; `kind` says why in a few words."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


def read_box(box: Any, height: int, width: int) -> tuple[Box, str | None]:
    """Left, top, right and bottom of a box, cut off at the edges of its image.

    Args:
        box: Left, top, width and height in pixels.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The box, and in words by how much it left the image, if that is more than rounding does.

    Raises:
        BoxError: It is no box, is of no size, or has nothing of the image.
    """
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_finite, box)):
        raise BoxError("box that is none", f"its bbox is {box!r:.80}, not four numbers [left, top, width, height]")
    left, top, box_width, box_height = (float(value) for value in box)
    if box_width <= 0 or box_height <= 0:
        raise BoxError("box of no size", f"its box is {box_width:g} px wide and {box_height:g} px high")
    right, bottom = left + box_width, top + box_height
    cut = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    outside = f"from ({left:g}, {top:g}) to ({right:g}, {bottom:g}), the image is {width} px wide and {height} px high"
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        raise BoxError("box outside of its image", f"its box is outside of its image: {outside}")
    much = max(abs(side - given) for side, given in zip(cut, (left, top, right, bottom), strict=True)) > EDGE_PX
    return cut, f"its box leaves its image: {outside}" if much else None


def pack_mask(segmentation: Any, height: int, width: int) -> bytes:
    """The mask of an annotation in COCO's compressed run lengths.

    Args:
        segmentation: A list of polygons [x0, y0, x1, y1, ...] in pixels, whose union it is, or an object with `size`
            and `counts`: a list of run lengths, column by column and from 0 on, or the same compressed.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Raises:
        ValueError: It is none of these, or does not fit the image; the message says what it is.
    """
    if isinstance(segmentation, list):
        polygons = [_polygon(polygon, height, width) for polygon in segmentation]
        packed = coco_mask.frPyObjects(polygons, height, width)
        return (packed[0] if len(packed) == 1 else coco_mask.merge(packed))["counts"]
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise ValueError("its mask is neither a list of polygons nor run lengths with size and counts")
    size, counts = segmentation.get("size"), segmentation["counts"]
    if size != [height, width]:
        raise ValueError(f"its mask is of size {size}, the image of [{height}, {width}] (height, width)")
    if isinstance(counts, list):
        if not all(type(run) is int and run >= 0 for run in counts) or sum(counts) != height * width:
            raise ValueError(f"the run lengths of its mask do not add up to {height} x {width} pixels")
        return coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
    try:
        packed = counts.encode("ascii")
        coco_mask.decode({"size": [height, width], "counts": packed})
    except (AttributeError, ValueError, RuntimeError) as error:
        raise ValueError("the compressed run lengths of its mask are damaged") from error
    return packed


def mask_area(counts: bytes, height: int, width: int) -> int:
    """Pixels of a packed mask."""
    return int(coco_mask.area({"size": [height, width], "counts": counts}))


def unpack_masks(masks: Sequence[Rle], height: int, width: int) -> Tensor:
    """uint8 [n, height, width], 1 where an instance is; `masks` may be empty."""
    if not masks:
        return torch.zeros(0, height, width, dtype=torch.uint8)
    columns = coco_mask.decode(list(masks))  # [height, width, n]
    return torch.from_numpy(np.ascontiguousarray(columns.transpose(2, 0, 1)))


def _polygon(polygon: Any, height: int, width: int) -> list[float]:
    if not isinstance(polygon, list) or not set(map(type, polygon)) <= {int, float} or not all(map(is_finite, polygon)):
        raise ValueError("its mask is not a list of polygons, each a list of numbers [x0, y0, x1, y1, ...]")
    if len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f"a polygon of its mask has {len(polygon)} numbers, not x and y of three corners or more")
    corners = np.array(polygon, dtype=np.float64).reshape(-1, 2)
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    for name, side, smallest, largest in zip("xy", (width, height), low, high, strict=True):
        if smallest < -EDGE_PX or largest > side + EDGE_PX:
            outside = f"{name} from {smallest:g} to {largest:g}, the image from 0 to {side}"
            raise ValueError(f"a polygon of its mask has {outside}")
    return corners.ravel().tolist()


def is_finite(value: Any) -> TypeGuard[float]:
    """Whether a value is a number of any use: JSON also has NaN, and integers that no float holds."""
    return isinstance(value, int | float) and abs(value) < _LARGEST
