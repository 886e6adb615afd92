"""A picture of one prediction: the image with its classes below, or in a corner of it."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from fastitpn.reporting.values import printable

_PAPER, _INK = "#ffffff", "#1c2024"
_TINT = 0.7
"""How far a bar that text stands on is brought to white; the line below it has the full colour."""
_MARGIN_PX = 6
_SHADE, _TRACK, _LIGHT = (16, 18, 22, 176), (255, 255, 255, 38), "#f4f6f8"
BLUE, GRAY = (74, 144, 217), (128, 134, 142)
"""Colours of bars that stand for no class, and of those for what was not chosen."""


LEAST_FRAME_PX, MOST_FRAME_PX = 480, 2048
"""Longest side of a video that is written: smaller ones are enlarged, so that names can be read."""


class Share(NamedTuple):
    """A line of a panel: a name, how much of it, and its colour."""

    name: str
    share: float
    """In [0, 1]"""
    color: tuple[int, int, int] = BLUE


def fitted(image: Image.Image, px: int) -> Image.Image:
    """The whole image with its longest side at `px`."""
    scale = px / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def frame_px(size: tuple[int, int]) -> int:
    """Longest side in pixels of a frame of a video that is written: small ones are enlarged.

    Args:
        size: Width and height of the frame.
    """
    return min(MOST_FRAME_PX, max(LEAST_FRAME_PX, *size))


def sized_frame(picture: Image.Image) -> Image.Image:
    """A frame in the size in which it is written."""
    px = frame_px(picture.size)
    return picture if px == max(picture.size) else fitted(picture, px)


def card(image: Image.Image, classes: Sequence[Share], *, px: int) -> Image.Image:
    """An image above its classes, each with a bar as long as its score.

    Args:
        image: The picture, RGB.
        classes: Names with scores and colours.
        px: Width of the result, and longest side of the image in it.
    """
    small = fitted(image, px)
    font = _font(max(11, px // 22))
    line_px = round(1.7 * font.size)
    result = Image.new("RGB", (px, small.height + line_px * len(classes)), _PAPER)
    result.paste(small, ((px - small.width) // 2, 0))
    draw = ImageDraw.Draw(result)
    for line, (name, score, color) in enumerate(classes):
        top = small.height + line * line_px
        middle, bottom, length = top + line_px / 2, top + line_px - 2, round(score * (px - 1))
        red, green, blue = (round(part + _TINT * (255 - part)) for part in color)
        draw.rectangle((0, top + 1, length, bottom), fill=(red, green, blue))
        draw.rectangle((0, bottom - 1, length, bottom), fill=color)
        percent = f"{100 * score:.1f} %"
        left = px - _MARGIN_PX - font.getlength(percent)
        draw.text((left, middle), percent, fill=_INK, font=font, anchor="lm")
        draw.text((_MARGIN_PX, middle), _cut(name, left - 2 * _MARGIN_PX, font), fill=_INK, font=font, anchor="lm")
    return result


def with_panel(picture: Image.Image, shares: Sequence[Share]) -> Image.Image:
    """A picture with names in its upper left corner, each above a bar as long as its share.

    Args:
        picture: The picture, RGB.
        shares: From top to bottom; as many are drawn as there is room for.
    """
    font = _font(max(11, min(30, max(picture.size) // 42)))
    line_px, margin = round(1.75 * font.size), round(0.6 * font.size)
    width = min(picture.width, round(13 * font.size))
    shares = shares[: max(0, (picture.height - 2 * margin) // line_px)]
    if not shares:
        return picture
    panel = Image.new("RGBA", (width, 2 * margin + line_px * len(shares)), _SHADE)
    draw = ImageDraw.Draw(panel)
    right, bar_px = width - margin, max(2, font.size // 6)
    for line, (name, share, color) in enumerate(shares):
        bottom = margin + (line + 1) * line_px - bar_px
        percent = f"{100 * share:.0f} %"
        room = right - margin - font.getlength(percent) - _MARGIN_PX
        draw.text((margin, bottom - 3), _cut(name, room, font), fill=_LIGHT, font=font, anchor="ld")
        draw.text((right, bottom - 3), percent, fill=_LIGHT, font=font, anchor="rd")
        draw.rectangle((margin, bottom - bar_px, right, bottom), fill=_TRACK)
        if (length := round(share * (right - margin))) > 0:
            draw.rectangle((margin, bottom - bar_px, margin + length, bottom), fill=(*color, 255))
    result = picture.copy()
    result.paste(panel, (0, 0), panel)
    return result


def _cut(text: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    text = printable(text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Matplotlib brings a font with Greek, Cyrillic and most signs; Pillow's own has Latin letters only.
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
