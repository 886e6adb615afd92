"""Pictures of segments: stuff in the colour of its class, things in shades of theirs."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE, Color
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS, Codes
from fastitpn.reporting.overlays import overlay

_SHADES = (0.0, 0.4, -0.35, 0.65, -0.55, 0.2, -0.18)
"""Shades of the first thing of a class, the second, ...: towards white, or below 0 towards black."""
_MOST = 255


def segment_overlay(
    image: Image.Image, codes: Codes, colors: Sequence[Color], *, opacity: float = 0.55, clear: Sequence[int] = ()
) -> Image.Image:
    """The segments over an image, their edges in full colour.

    Args:
        image: RGB, of the size of the codes.
        codes: Codes of segments [H, W], see `data.panoptic_codes`; pixels of no class stay as they are.
        colors: RGB colour of each class.
        opacity: How much the colours cover the image, 0 to 1.
        clear: Labels of classes whose pixels stay as they are too, such as a background.
    """
    distinct, places = np.unique(codes, return_inverse=True)
    shades = segment_colors(distinct.tolist(), colors)
    number_of: list[int] = []
    drawn: list[Color] = []
    for code, shade in zip(distinct.tolist(), shades, strict=True):
        if (label := code & LABEL_BITS) == IGNORE or label in clear:
            number_of.append(IGNORE)
        else:
            number_of.append(len(drawn) % _MOST)  # beyond 255 segments, some share a number
            drawn.append(shade)
    labels = np.array(number_of, dtype=np.uint8)[places].reshape(codes.shape)
    return overlay(image, labels, drawn[:_MOST] or [(0, 0, 0)], opacity=opacity)


def segment_colors(codes: Sequence[int], colors: Sequence[Color]) -> list[Color]:
    """A colour for each segment: that of its class, for the second thing of a class and further ones shades of it."""
    seen: Counter[int] = Counter()
    result = []
    for code in codes:
        label = code & LABEL_BITS
        result.append(_shaded(colors[label], _SHADES[seen[label] % len(_SHADES)]) if label < len(colors) else (0, 0, 0))
        seen[label] += 1
    return result


def _shaded(color: Color, shade: float) -> Color:
    end = 255 if shade > 0 else 0
    red, green, blue = (round(part + abs(shade) * (end - part)) for part in color)
    return red, green, blue
