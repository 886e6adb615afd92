"""Pictures of detections: boxes, masks and names over an image, legible on any background."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval.core import mask as coco_masks
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fastitpn.data.segmentation.classes import Color
from fastitpn.reporting.pictures import load_font
from fastitpn.reporting.values import printable, shorten

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_NAME_LENGTH = 32
_LEAST_PX, _MOST_PX = 480, 2048
"""Longest side of a picture: smaller images are enlarged, so that names can be read and do not hide everything."""

Rectangle = tuple[float, float, float, float]


class DrawnInstance(NamedTuple):
    """An object to draw."""

    box: Rectangle
    """Left, top, right, bottom in pixels of the image."""
    text: str
    color: Color
    mask: Mapping[str, Any] | None = None
    """Run lengths as COCO's tools pack them, of the size of the image."""


def draw_instances(
    image: Image.Image, instances: Sequence[DrawnInstance], *, px: int | None = None, opacity: float = 0.4
) -> Image.Image:
    """An image with its objects; small ones are drawn over large ones.

    Every box has its colour between a black line and a white one, of which one stands out from any background. Every
    name stands on its colour in black or white, whichever can be read.

    Args:
        image: The image, RGB.
        instances: The objects, in pixels of the image.
        px: Longest side of the result; None for that of the image, within 480 to 2048.
        opacity: How much the masks cover the image, 0 to 1.
    """
    px = px or min(_MOST_PX, max(_LEAST_PX, *image.size))
    scale = px / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)).copy()
    order = sorted(instances, key=lambda instance: -_area(instance.box))
    for instance in order:
        if instance.mask is not None:
            _paint(pixels, instance.mask, instance.color, opacity)
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    line = max(1, round(px / 300))
    boxes = [_scaled(instance.box, width / image.width, height / image.height) for instance in order]
    for box, instance in zip(boxes, order, strict=True):
        _frame(draw, box, instance.color, line)
    font = load_font(max(12, min(26, px // 48)))
    taken: list[Rectangle] = []
    for box, instance in zip(boxes, order, strict=True):
        if instance.text:
            taken.append(_tag(draw, box, instance, font, (width, height), taken))
    return picture


def text_color(background: Color) -> Color:
    """Black or white, whichever has more contrast to a colour."""
    luminance = relative_luminance(background)
    return _BLACK if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else _WHITE


def relative_luminance(color: Color) -> float:
    """How light a colour is, from 0 to 1, as the web's guidelines for legible text (WCAG 2) measure it."""
    parts = [part / 255 for part in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _paint(pixels: NDArray[np.uint8], mask: Mapping[str, Any], color: Color, opacity: float) -> None:
    """The colour of a mask over pixels, its edge in full; in place."""
    whole = Image.fromarray(255 * np.ascontiguousarray(coco_masks.decode(dict(mask))))
    inside = np.asarray(whole.resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BILINEAR)) >= 128
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    inside = inside[window]
    padded = np.pad(inside, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    share = np.where(inside & ~core, 1.0, opacity * inside)[..., None]
    part = pixels[window]
    pixels[window] = (part + share * (np.array(color, np.float32) - part)).round().astype(np.uint8)


def _frame(draw: ImageDraw.ImageDraw, box: Rectangle, color: Color, line: int) -> None:
    left, top, right, bottom = (round(value) for value in box)
    right, bottom = max(left + 1, right - 1), max(top + 1, bottom - 1)
    thin = max(1, line // 2)
    draw.rectangle((left - thin, top - thin, right + thin, bottom + thin), outline=_BLACK, width=thin)
    draw.rectangle((left, top, right, bottom), outline=_WHITE, width=line + thin)
    draw.rectangle((left, top, right, bottom), outline=color, width=line)


def _tag(
    draw: ImageDraw.ImageDraw,
    box: Rectangle,
    instance: DrawnInstance,
    font: ImageFont.FreeTypeFont,
    size: tuple[int, int],
    taken: Sequence[Rectangle],
) -> Rectangle:
    """The name of an object where there is room for it: at its box, and on no other name if that can be."""
    text = shorten(printable(instance.text), _NAME_LENGTH)
    pad = max(2, round(font.size / 5))
    width, height = font.getlength(text) + 2 * pad, round(1.35 * font.size)
    places = list(_places(box, width, height, size))
    place = next((place for place in places if not any(_overlap(place, other) for other in taken)), places[0])
    draw.rectangle(place, fill=instance.color, outline=_WHITE)
    middle = (place[1] + place[3]) / 2
    draw.text((place[0] + pad, middle), text, fill=text_color(instance.color), font=font, anchor="lm")
    return place


def _places(box: Rectangle, width: float, height: float, size: tuple[int, int]) -> Iterator[Rectangle]:
    """Above the box, inside of it at the top, below, inside at the bottom; left, then right; all within the picture."""
    left, top, right, bottom = box
    for x in (left, right - width):
        for y in (top - height, top, bottom, bottom - height):
            x0 = max(0, min(x, size[0] - 1 - width))
            y0 = max(0, min(y, size[1] - 1 - height))
            yield x0, y0, x0 + width, y0 + height


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _scaled(box: Rectangle, across: float, down: float) -> Rectangle:
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def _area(box: Rectangle) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
