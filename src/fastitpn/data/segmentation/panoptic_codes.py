"""How the segments of an image are written down: one code for each pixel, and as COCO's PNGs, whose colours are ids.

    code = label + 256 * number

The label is that of the class, `IGNORE` where there is none. The number is 0 for stuff, of which there is one segment
at most, and counts the things of an image from 1 on. Where there is no class, it is 0, or for a crowd, which is left
out but forgiven to who finds it, 1 + the label of its class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastitpn.data.segmentation.classes import IGNORE

Codes = NDArray[np.int32]

NUMBERS = 256
"""Steps of the codes from one thing to the next."""
LABEL_BITS = 255
"""The label of a code, or of a label, is `code & LABEL_BITS`."""
_CHANNELS = np.array([1, 256, 256**2], dtype=np.int32)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A thing, or all of one kind of stuff in an image.

    Attributes:
        code: Value of its pixels in a map of codes, int32.
        score: How sure the network is, in [0, 1].
        area: Number of its pixels.
    """

    code: int
    score: float
    area: int

    @property
    def label(self) -> int:
        """Place of its class."""
        return self.code & LABEL_BITS

    @property
    def number(self) -> int:
        """0 for stuff; things of an image count from 1 on."""
        return self.code // NUMBERS


def thing_code(label: int, number: int) -> int:
    """The code of a class's thing with this number, from 1 on."""
    return label + NUMBERS * number


def crowd_code(label: int) -> int:
    """The code of a crowd of things of a class."""
    return IGNORE + NUMBERS * (1 + label)


def ids_of_colors(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Colours [H, W, 3] to the ids of segments [H, W], as COCO has them: red + 256 green + 65536 blue."""
    return pixels.astype(np.int32) @ _CHANNELS


def colors_of_ids(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The way back."""
    return (ids[..., None] // _CHANNELS % 256).astype(np.uint8)


def ids_of_codes(codes: Codes, segments: Sequence[Segment]) -> NDArray[np.int32]:
    """Ids [H, W]: 1, 2, ... in the order of the segments, 0 for what is in none of them."""
    ids = np.zeros_like(codes)
    for number, segment in enumerate(segments, start=1):
        ids[codes == segment.code] = number
    return ids


def codes_of_ids(ids: NDArray[np.int32], segments: Sequence[Segment]) -> Codes:
    """The way back."""
    return np.array([IGNORE, *(segment.code for segment in segments)], dtype=np.int32)[ids]
