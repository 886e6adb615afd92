"""Boxes and masks of instances as COCO's files have them: read and checked; masks packed and unpacked."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor

from fastitpn.data.detection.annotations import Rle
from fastitpn.data.detection.stored_masks import pack_polygons, run_lengths, store_polygons
from fastitpn.data.detection.values import numbers, whole

EDGE_PX = 1.0
"""Boxes and polygons may leave their image by this much: files round, and some count pixels from 1."""

_TINY_PX = 4
"""Side of images in which a box of less than a pixel may be meant."""
_PLAIN = {int, float}
"""Types of JSON's numbers; its true and false are none."""

Box = tuple[float, float, float, float]


class BoxError(ValueError):
    """A box that cannot be used; `kind` says why in a few words."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


def read_box(box: Any, height: int, width: int) -> tuple[Box, str | None]:
    """Left, top, right and bottom of a box, cut off at the edges of its image.

    Args:
        box: Left, top, width and height in pixels, also as texts.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        The box, and in words by how much it left the image, if that is more than rounding does.

    Raises:
        BoxError: It is no box, is of no size, or has nothing of the image.
    """
    if type(box) is list and len(box) == 4 and _PLAIN.issuperset(map(type, box)):
        left, top, box_width, box_height = box
        right, bottom = left + box_width, top + box_height
        inside = left >= 0 and top >= 0 and left < right <= width and top < bottom <= height
        if inside and (right > 1 or bottom > 1):  # as nearly all are
            return (left, top, right, bottom), None
    sides = numbers(box)
    if sides is None or len(sides) != 4:
        if sides is not None and len(sides) == 5:
            what = f"its bbox is {box!r:.80}, five numbers: of an oriented box give the four corners as segmentation"
            raise BoxError("oriented box", f"{what} and no bbox, or the upright box around it")
        raise BoxError("box that is none", f"its bbox is {box!r:.80}, not four numbers [left, top, width, height]")
    left, top, box_width, box_height = map(float, sides)
    if box_width <= 0 or box_height <= 0:
        raise BoxError("box of no size", f"its box is {box_width:g} px wide and {box_height:g} px high")
    right, bottom = left + box_width, top + box_height
    cut = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    outside = f"from ({left:g}, {top:g}) to ({right:g}, {bottom:g}), the image is {width} px wide and {height} px high"
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        raise BoxError("box outside of its image", f"its box is outside of its image: {outside}")
    if right <= 1 and bottom <= 1 and min(height, width) > _TINY_PX and not _are_whole(left, top, right, bottom):
        raise BoxError(
            "box in shares of its image", f"its box seems to be in shares of the image, not in px: {outside}"
        )
    much = max(abs(side - given) for side, given in zip(cut, (left, top, right, bottom), strict=True)) > EDGE_PX
    return cut, f"its box leaves its image: {outside}" if much else None


def _are_whole(*sides: float) -> bool:
    return all(float(side).is_integer() for side in sides)


def is_missing(box: Any) -> bool:
    """Whether a box says nothing, so that it is to be taken from an outline: it is empty, or all of it is 0."""
    return box is None or box == "" or (isinstance(box, list | dict) and not (any(box) if len(box) == 4 else box))


def box_around(segmentation: Any, height: int, width: int) -> list[float]:
    """Left, top, width and height of a mask; arguments and errors as of `pack_mask`."""
    if isinstance(segmentation, list):
        corners = np.concatenate(_polygons(segmentation, height, width)).reshape(-1, 2)
        low, high = corners.min(axis=0), corners.max(axis=0)
        return [*low.tolist(), *(high - low).tolist()]
    counts = pack_mask(segmentation, height, width)
    return [float(side) for side in coco_mask.toBbox({"size": [height, width], "counts": counts})]


def store_mask(segmentation: Any, height: int, width: int) -> bytes:
    """A mask to keep in memory, see `run_lengths`; arguments and errors as of `pack_mask`."""
    if isinstance(segmentation, list):
        return store_polygons(_polygons(segmentation, height, width))
    return pack_mask(segmentation, height, width)


def pack_mask(segmentation: Any, height: int, width: int) -> bytes:
    """The mask of an annotation in COCO's compressed run lengths.

    Args:
        segmentation: A list of polygons [x0, y0, x1, y1, ...] in pixels, whose union it is (those of one or two corners
            do not count beside others), or an object with `size` and `counts`: a list of run lengths, column by column
            and from 0 on, or the same compressed.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Raises:
        ValueError: It is none of these, or does not fit the image; the message says what it is.
    """
    if isinstance(segmentation, list):
        return pack_polygons(_polygons(segmentation, height, width), height, width)
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise ValueError("its mask is neither a list of polygons nor run lengths with size and counts")
    size, counts = segmentation.get("size"), segmentation["counts"]
    if not isinstance(size, list) or [whole(side) for side in size] != [height, width]:
        raise ValueError(f"its mask is of size {size!r:.80}, the image of [{height}, {width}] (height, width)")
    if isinstance(counts, list):
        runs = [whole(run) for run in counts]
        if any(run is None or run < 0 for run in runs) or sum(run or 0 for run in runs) != height * width:
            raise ValueError(f"the run lengths of its mask do not add up to {height} x {width} pixels")
        return coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)["counts"]
    try:
        packed = counts.encode("ascii")
        coco_mask.decode({"size": [height, width], "counts": packed})
    except (AttributeError, ValueError, RuntimeError) as error:
        raise ValueError("the compressed run lengths of its mask are damaged") from error
    return packed


def is_turned_box(segmentation: Any) -> bool:
    """Whether a mask is one outline of four corners, none of whose sides is upright or level: an oriented box."""
    if not isinstance(segmentation, list) or len(segmentation) != 1 or not isinstance(segmentation[0], list):
        return False
    corners = numbers(segmentation[0]) if len(segmentation[0]) == 8 else None
    if corners is None:
        return False
    after = corners[2:] + corners[:2]
    slants = [min(abs(after[i] - corners[i]), abs(after[i + 1] - corners[i + 1])) for i in range(0, 8, 2)]
    return min(slants) > EDGE_PX


def num_points_and_lines(segmentation: Any) -> int:
    """Number of the polygons that are left out of a mask since they have fewer than three corners."""
    return (
        sum(isinstance(part, list) and len(part) < 6 for part in segmentation) if isinstance(segmentation, list) else 0
    )


def mask_area(stored: bytes, height: int, width: int) -> int:
    """Pixels of a mask, as `store_mask` or `pack_mask` give it."""
    return int(coco_mask.area({"size": [height, width], "counts": run_lengths(stored, height, width)}))


def unpack_masks(masks: Sequence[Rle], height: int, width: int) -> Tensor:
    """uint8 [n, height, width], 1 where an instance is; `masks` may be empty."""
    if not masks:
        return torch.zeros(0, height, width, dtype=torch.uint8)
    columns = coco_mask.decode(list(masks))  # [height, width, n]
    return torch.from_numpy(np.ascontiguousarray(columns.transpose(2, 0, 1)))


def _polygons(segmentation: list[Any], height: int, width: int) -> list[Sequence[float]]:
    """The polygons of a mask, [x0, y0, ...] each; those of fewer than three corners only if there are no others."""
    if not all(isinstance(polygon, list) for polygon in segmentation):
        raise ValueError("its mask is not a list of polygons, each a list of numbers [x0, y0, x1, y1, ...]")
    whole_ones = [polygon for polygon in segmentation if len(polygon) >= 6]
    return [
        polygon if _is_plain(polygon, height, width) else _polygon(polygon, height, width).tolist()
        for polygon in whole_ones or segmentation
    ]


def _is_plain(polygon: list[Any], height: int, width: int) -> bool:
    """Whether nothing is wrong with a polygon, as with nearly all; quickly."""
    if len(polygon) < 6 or len(polygon) % 2 or not _PLAIN.issuperset(map(type, polygon)):
        return False
    xs, ys = polygon[::2], polygon[1::2]
    return (
        min(polygon) >= -EDGE_PX
        and max(xs) <= width + EDGE_PX
        and max(ys) <= height + EDGE_PX
        and not math.isnan(sum(polygon))  # to min and max it may be anything
    )


def _polygon(polygon: list[Any], height: int, width: int) -> np.ndarray:
    plain = set(map(type, polygon)) <= {float, int}
    values = polygon if plain else numbers(polygon)
    if values is None:
        raise ValueError("its mask is not a list of polygons, each a list of numbers [x0, y0, x1, y1, ...]")
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"a polygon of its mask has {len(values)} numbers, not x and y of three corners or more")
    try:
        corners = np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise ValueError("a polygon of its mask has a number that no image has pixels for") from error
    for name, side, along in (("x", width, corners[::2]), ("y", height, corners[1::2])):
        smallest, largest = float(along.min()), float(along.max())
        if not (smallest >= -EDGE_PX and largest <= side + EDGE_PX):  # written so that NaN fails too
            outside = f"{name} from {smallest:g} to {largest:g}, the image from 0 to {side}"
            raise ValueError(f"a polygon of its mask has {outside}")
    return corners
