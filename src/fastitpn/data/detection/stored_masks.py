"""Masks as they are kept in memory: run lengths, or the polygons that they are made of when they are used."""

from array import array
from collections.abc import Sequence

from faster_coco_eval.core import mask as coco_mask

_POLYGONS = b"\0"
"""First byte of polygons; compressed run lengths are plain letters."""
_COUNT_BYTES = 4


def store_polygons(polygons: Sequence[Sequence[float]]) -> bytes:
    """Polygons [x0, y0, x1, y1, ...] in pixels, whose union is a mask; run lengths of them take long to make."""
    stored = _POLYGONS
    for polygon in polygons:
        part = array("d", polygon).tobytes()
        stored += len(part).to_bytes(_COUNT_BYTES, "little") + part
    return stored


def run_lengths(stored: bytes, height: int, width: int) -> bytes:
    """A mask in COCO's compressed run lengths.

    Args:
        stored: What `store_polygons` gave, or compressed run lengths.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    if not stored.startswith(_POLYGONS):
        return stored
    polygons, place = [], len(_POLYGONS)
    while place < len(stored):
        start = place + _COUNT_BYTES
        place = start + int.from_bytes(stored[place:start], "little")
        polygons.append(array("d", stored[start:place]).tolist())
    return pack_polygons(polygons, height, width)


def pack_polygons(polygons: Sequence[Sequence[float]], height: int, width: int) -> bytes:
    """The union of polygons in COCO's compressed run lengths."""
    packed = coco_mask.frPyObjects([list(polygon) for polygon in polygons], height, width)
    counts: bytes = (packed[0] if len(packed) == 1 else coco_mask.merge(packed))["counts"]
    return counts
