"""Pictures with titles and legends, side by side: what the commands that look inside a model draw."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from fastitpn.reporting.pictures import BACKGROUND, CAPTION, FAINT, load_font, wrap_text

HEAT = matplotlib.colormaps["inferno"]
_GAP, _SIZE, _LINE = 20, 17, 26


class Legend(NamedTuple):
    """A line below a picture: a colour, if any, and what it means."""

    text: str
    colour: tuple[int, int, int] | None = None


class Scale(NamedTuple):
    """The colours of `HEAT`, from their lowest value to their highest."""

    low: str
    high: str
    mark: float | None = None
    """A value to mark, as a share of the length."""


class Panel(NamedTuple):
    """One picture with its title and its legend."""

    title: str
    image: Image.Image
    legend: Sequence[Legend] = ()
    scale: Scale | None = None
    """Drawn below the picture."""


class Row(NamedTuple):
    """The panels of one image."""

    title: str
    panels: Sequence[Panel]
    notes: Sequence[str] = ()
    """Lines below the title."""


def lay_out(rows: Sequence[Row], *, columns: int | None = None) -> Image.Image:
    """Rows of panels below each other, with their titles above and their legends below.

    Args:
        rows: Their pictures all have one size.
        columns: Panels in a line; longer rows take several lines. None: all of a row in one.

    Returns:
        An RGB image.
    """
    width, height = rows[0].panels[0].image.size
    most = max(len(row.panels) for row in rows)
    columns = min(most, columns or most)
    lines = [
        (row, row.panels[first : first + columns], first == 0)
        for row in rows
        for first in range(0, len(row.panels), columns)
    ]
    heights = [_head(row) * is_first + _below(panels, height) for row, panels, is_first in lines]
    sheet = Image.new("RGB", (_GAP + columns * (width + _GAP), sum(heights) + _GAP), BACKGROUND)
    draw, top = ImageDraw.Draw(sheet), 0
    for (row, panels, is_first), line_height in zip(lines, heights, strict=True):
        start = top
        if is_first:
            _draw_titles(draw, row, sheet.width - 2 * _GAP, start)
            start += _head(row)
        for number, panel in enumerate(panels):
            _draw_panel(sheet, draw, panel, _GAP + number * (width + _GAP), start)
        top += line_height
    return sheet


def enlarge(values: np.ndarray, side: int) -> np.ndarray:
    """Every token as a square of pixels."""
    return values.repeat(side, axis=0).repeat(side, axis=1)


def to_image(pixels: np.ndarray) -> Image.Image:
    """[H, W, 3] of any numbers, cut off at 0 and 255."""
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def heat(values: np.ndarray) -> np.ndarray:
    """float32 [..., 3] in 0 to 255 for values of which 0 is the coldest and 1 the hottest."""
    return 255 * HEAT(np.clip(values, 0, 1))[..., :3].astype(np.float32)


def gray(image: Image.Image) -> np.ndarray:
    """float32 [H, W, 3], without its colours."""
    return np.asarray(image.convert("RGB"), dtype=np.float32).mean(-1, keepdims=True).repeat(3, -1)


def _head(row: Row) -> int:
    """Height of the titles of a row."""
    return _GAP + (1 + len(row.notes)) * _LINE + 14


def _below(panels: Sequence[Panel], height: int) -> int:
    """Height of a line of panels."""
    legends = max(len(panel.legend) + (panel.scale is not None) for panel in panels)
    return _LINE + 4 + height + 12 + legends * _LINE + 6


def _draw_titles(draw: ImageDraw.ImageDraw, row: Row, width: int, top: int) -> None:
    font, large = load_font(_SIZE), load_font(22)
    draw.text((_GAP, top + _GAP - 4), wrap_text(row.title, large, width, 1)[0], font=large, fill=CAPTION)
    for number, note in enumerate(row.notes, start=1):
        place = (_GAP, top + _GAP + number * _LINE + 2)
        draw.text(place, wrap_text(note, font, width, 1)[0], font=font, fill=FAINT)


def _draw_panel(sheet: Image.Image, draw: ImageDraw.ImageDraw, panel: Panel, x: int, top: int) -> None:
    width, height = panel.image.size
    font = load_font(_SIZE)
    draw.text((x, top), wrap_text(panel.title, font, width, 1)[0], font=font, fill=CAPTION)
    sheet.paste(panel.image, (x, top + _LINE + 4))
    y = top + _LINE + 4 + height + 12
    if panel.scale is not None:
        _draw_scale(draw, x, y, panel.scale, width)
        y += _LINE
    for legend in panel.legend:
        indent = 0
        if legend.colour is not None:
            draw.rounded_rectangle((x, y + 3, x + _SIZE - 2, y + _SIZE + 1), 3, fill=legend.colour)
            indent = _SIZE + 8
        draw.text((x + indent, y), wrap_text(legend.text, font, width - indent, 1)[0], font=font, fill=FAINT)
        y += _LINE


def _draw_scale(draw: ImageDraw.ImageDraw, x: int, y: int, scale: Scale, width: int) -> None:
    font, length = load_font(_SIZE), width // 2
    draw.text((x, y), scale.low, font=font, fill=FAINT)
    left = x + round(font.getlength(scale.low)) + 7
    for offset in range(length):
        red, green, blue, _ = HEAT(offset / length)
        colour = (round(255 * red), round(255 * green), round(255 * blue))
        draw.line((left + offset, y + 4, left + offset, y + 17), fill=colour)
    if scale.mark is not None:
        mark = left + round(scale.mark * length)
        draw.line((mark, y + 1, mark, y + 20), fill=CAPTION, width=2)
    room = x + width - left - length - 8
    draw.text((left + length + 8, y), wrap_text(scale.high, font, room, 1)[0], font=font, fill=FAINT)
