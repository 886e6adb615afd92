"""Pictures of segmentations: label maps as index images, as colours over the image, and what the colours mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fastitpn.data.segmentation.classes import IGNORE, Color
from fastitpn.reporting.pictures import BACKGROUND, CAPTION, load_font
from fastitpn.reporting.values import printable, shorten

_MOST_IN_LEGEND = 24
_NAME_LENGTH = 28
_GAP_PX = 8
_OUTLINES = 500
"""Longest side of a picture over the width of an outline."""


def index_image(labels: NDArray[np.uint8], colors: Sequence[Color]) -> Image.Image:
    """Labels [H, W] as an image of mode P: its numbers are the labels, its palette the colours."""
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = colors
    palette[IGNORE] = 255
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(palette.tobytes())
    return image


def overlay(
    image: Image.Image,
    labels: NDArray[np.uint8],
    colors: Sequence[Color],
    *,
    opacity: float = 0.55,
    clear: Sequence[int] = (),
) -> Image.Image:
    """The colours of labels over an image; the outline of each region has the full colour, as the legend shows it.

    Args:
        image: RGB, of the size of the labels.
        labels: [H, W]; pixels that are `IGNORE` stay as they are.
        colors: RGB colour of each class.
        opacity: How much the colours cover the image, 0 to 1.
        clear: Labels whose pixels stay as they are too, such as a background.
    """
    table = np.zeros((256, 3), np.float32)
    table[: len(colors)] = colors
    strength = np.full(256, opacity, np.float32)
    strength[[IGNORE, *clear]] = 0
    share = strength[labels]
    outline = np.ones(256, bool)
    outline[[IGNORE, *clear]] = False
    share[_edges(labels, max(1, round(max(labels.shape) / _OUTLINES))) & outline[labels]] = 1
    pixels = np.asarray(image, np.float32)
    mixed = pixels + share[..., None] * (table[labels] - pixels)
    return Image.fromarray(mixed.round().astype(np.uint8))


def with_legend(picture: Image.Image, entries: Sequence[tuple[Color | None, str]], *, min_px: int = 240) -> Image.Image:
    """A picture with a line for each class below: a patch of its colour, and a text.

    Args:
        picture: RGB. It is drawn in its own size, or enlarged if it is narrower than `min_px`.
        entries: Colours and texts; None is an empty patch, of what is not coloured. Of more than 24 the first ones
            are shown.
        min_px: Least width of the result, so that the texts can be read.
    """
    if picture.width < min_px:
        height = max(1, round(picture.height * min_px / picture.width))
        picture = picture.resize((min_px, height), Image.Resampling.NEAREST)
    size = max(12, min(28, picture.width // 45))
    font, line = load_font(size), round(1.6 * size)
    lines = [(color, shorten(printable(text), _NAME_LENGTH)) for color, text in entries[:_MOST_IN_LEGEND]]
    if len(entries) > len(lines):
        lines.append((BACKGROUND, f"and {len(entries) - len(lines)} more"))
    widest = max((font.getlength(text) for _, text in lines), default=0) + size + 3 * _GAP_PX
    columns = max(1, min(len(lines), int(picture.width // widest)))
    rows = -(-len(lines) // columns)
    result = Image.new("RGB", (picture.width, picture.height + rows * line + _GAP_PX * bool(lines)), BACKGROUND)
    result.paste(picture, (0, 0))
    draw = ImageDraw.Draw(result)
    for number, (color, text) in enumerate(lines):
        left = _GAP_PX + number % columns * (picture.width // columns)
        top = picture.height + _GAP_PX // 2 + number // columns * line
        patch = (left, top + line // 6, left + size, top + line // 6 + size)
        draw.rectangle(patch, fill=color, outline=CAPTION if color is None else None)
        draw.text((left + size + _GAP_PX, top + line // 2), text, fill=CAPTION, font=font, anchor="lm")
    return result


def side_by_side(pictures: Sequence[Image.Image], px: int = 240) -> Image.Image:
    """Pictures of one size in a row, each `px` high."""
    width = max(1, round(px * pictures[0].width / pictures[0].height))
    row = Image.new("RGB", (len(pictures) * (width + 2) - 2, px), BACKGROUND)
    for number, picture in enumerate(pictures):
        sampling = Image.Resampling.BICUBIC if picture.width > width else Image.Resampling.NEAREST
        row.paste(picture.resize((width, px), sampling), (number * (width + 2), 0))
    return row


def _edges(labels: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """Pixels with another label at most `width` px away in their row or column."""
    edges = np.zeros(labels.shape, bool)
    for px in range(1, width + 1):
        across, down = labels[:, :-px] != labels[:, px:], labels[:-px] != labels[px:]
        edges[:, :-px] |= across
        edges[:, px:] |= across
        edges[:-px] |= down
        edges[px:] |= down
    return edges
