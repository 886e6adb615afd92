"""Pascal VOC's masks of objects: a PNG for an image, where each has a number, matched with the XML file's boxes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import box_iou

from fastitpn.data.detection.masks import Box, coco_mask
from fastitpn.data.detection.sources import SourcePart
from fastitpn.data.segmentation.mask_files import mask_size, read_index_mask
from fastitpn.errors import InputError

_NOTHING, _VOID = 0, 255
_LEAST_OVERLAP = 0.2
"""The rim of an object is void, 5 px wide, so the mask of a small one fills little of its box."""
_CLOSE = 0.05
"""Overlaps that differ by less are taken for the same; then the number of the object decides."""


def read_masks(file: Path, size: tuple[int, int], boxes: Sequence[Box], part: SourcePart) -> list[bytes | None] | None:
    """The packed mask of each box, or None where it has none; None for all, and noted, if the file cannot be used.

    The best pair of a mask and a box comes first, by the overlap of the mask's own box, until none overlaps by a fifth.
    Among equals the n-th box has the number n, as published.

    Args:
        file: The PNG: 0 where nothing is, 255 where nothing is known, else the number of an object.
        size: Height and width of the image.
        boxes: Boxes of the objects of the image.
        part: Where to note what is wrong.
    """
    try:
        width, height = mask_size(file)
        numbers = read_index_mask(file) if (height, width) == size else None
    except InputError as error:
        part.note("masks that cannot be read", error.what, file, image=True)
        return None
    if numbers is None:
        what = f"it is {width}x{height} px, its image {size[1]}x{size[0]} px"
        part.note("masks of another size", what, file, image=True)
        return None
    listed = [int(number) for number in np.unique(numbers) if number not in (_NOTHING, _VOID)]
    if len(listed) > _VOID:
        what = f"it has {len(listed)} different numbers, each of which would be an object"
        part.note("masks that cannot be read", what, file, image=True)
        return None
    by_number = {number: numbers == number for number in listed}
    places = _matched({number: _around(mask) for number, mask in by_number.items()}, boxes)
    packed: list[bytes | None] = [None] * len(boxes)
    for number, mask in by_number.items():
        if number in places:
            packed[places[number]] = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
        else:
            part.note("mask of no object", f"its number {number} overlaps with no box of the XML file", file)
    return packed


def _matched(masks: dict[int, Box], boxes: Sequence[Box]) -> dict[int, int]:
    """Numbers of masks to places of boxes."""
    if not masks or not boxes:
        return {}
    overlaps = box_iou(torch.tensor(list(masks.values())), torch.tensor(boxes)).tolist()
    pairs = [
        (round(overlap / _CLOSE), number == place + 1, overlap, number, place)
        for number, row in zip(masks, overlaps, strict=True)
        for place, overlap in enumerate(row)
        if overlap >= _LEAST_OVERLAP
    ]
    places: dict[int, int] = {}
    for *_, number, place in sorted(pairs, reverse=True):
        if number not in places and place not in places.values():
            places[number] = place
    return places


def _around(mask: NDArray[np.bool_]) -> Box:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
