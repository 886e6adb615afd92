"""What token migration and token gathering do to an image: the tokens that leave, their matches, and the windows."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageColor, ImageDraw
from torch import Tensor

from fastitpn.models.token_trace import TokenTrace
from fastitpn.reporting.pictures import BACKGROUND, CAPTION, FAINT, load_font, wrap_text
from fastitpn.reporting.svg import PALETTE

TILE_PX = 448
"""Longer side of each picture, about: a token is a whole number of pixels, and not too few."""
FEWEST_PX = 10
"""Side of a token in the picture, at least."""
HEAT = matplotlib.colormaps["inferno"]


class Legend(NamedTuple):
    """A line below a picture: a colour, if any, and what it means."""

    text: str
    colour: tuple[int, int, int] | None = None


class Panel(NamedTuple):
    """One picture with its title and its legend."""

    title: str
    image: Image.Image
    legend: Sequence[Legend] = ()
    scale: float | None = None
    """With a scale of colours from 0 to this below it."""


def token_picture(image: Image.Image, trace: TokenTrace, *, title: str, notes: Sequence[str] = ()) -> Image.Image:
    """One image as it is, the tokens that left it at each step, what these were matched with, and what was gathered.

    Panels for which there is nothing to show are left out.

    Args:
        image: As the model saw it, its size that of the trace's grid times the side of a patch.
        trace: Of this image alone, see `FastITPN.trace_tokens`.
        title: Such as the name of the file.
        notes: Lines below it, such as the model and its acceleration.

    Raises:
        ValueError: The trace is of several images.
    """
    if trace.left.shape[0] != 1:
        raise ValueError(f"a trace of one image expected, got {trace.left.shape[0]}")
    rows, columns = trace.grid
    side = max(FEWEST_PX, round(TILE_PX / max(rows, columns)))
    image = image.convert("RGB").resize((columns * side, rows * side), Image.Resampling.BICUBIC)
    panels = [Panel("image", image, [Legend(f"{rows} x {columns} tokens")])]
    if trace.steps:
        panels.append(_left_panel(image, trace, side))
    if (trace.match >= 0).any():
        panels.append(_match_panel(image, trace, side))
    if trace.windows != (1, 1):
        panels.append(_windows_panel(image, trace, side))
    return _lay_out(panels, title, notes)


def count_left(trace: TokenTrace) -> list[tuple[int, int, int]]:
    """For each step of a trace of one image: after which block it is, how many tokens left, and of how many."""
    present = trace.left.shape[1]
    counts = []
    for number, block in enumerate(trace.steps, start=1):
        left = int((trace.left[0] == number).sum())
        counts.append((block, left, present))
        present -= left
    return counts


def _left_panel(image: Image.Image, trace: TokenTrace, side: int) -> Panel:
    """The tokens that left, tinted by their step; those that stayed as they are."""
    colours = [ImageColor.getrgb(PALETTE[step % len(PALETTE)])[:3] for step in range(len(trace.steps))]
    left = _to_map(trace.left[0], trace)
    pixels = np.asarray(image, dtype=np.float32)
    faint = 0.45 * pixels.mean(-1, keepdims=True)
    for number, colour in enumerate(colours, start=1):
        gone = _enlarge(left == number, side)
        pixels = np.where(gone[..., None], 0.5 * faint + 0.5 * np.array(colour, np.float32), pixels)
    picture = _to_image(pixels)
    _draw_lines(picture, _edges(np.where(left > 0, np.arange(left.size).reshape(left.shape) + 1, 0)), side, BACKGROUND)
    legend = [
        Legend(f"left after block {block}: {count} of {present}", colour)
        for (block, count, present), colour in zip(count_left(trace), colours, strict=True)
    ]
    stayed = int((trace.left[0] == 0).sum())
    return Panel("tokens that left", picture, [*legend, Legend(f"stayed to the end: {stayed}")])


def _match_panel(image: Image.Image, trace: TokenTrace, side: int) -> Panel:
    """Every token that left drawn as the token it was matched with; as that one's match if it left later."""
    source = torch.where(trace.match[0] >= 0, trace.match[0], torch.arange(trace.match.shape[1]))
    for _ in trace.steps:
        source = source[source]
    rows, columns = trace.grid
    tiles = np.asarray(image).reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    pixels = tiles[source.numpy()].reshape(rows, columns, side, side, 3).swapaxes(1, 2)
    picture = Image.fromarray(np.ascontiguousarray(pixels.reshape(rows * side, columns * side, 3)))
    return Panel("drawn by those that stayed", picture, [Legend("each that left, as the one it is most like")])


def _windows_panel(image: Image.Image, trace: TokenTrace, side: int) -> Panel:
    """The windows, and where the attention of their gathering tokens goes."""
    window = _to_map(trace.window, trace)
    pixels = np.asarray(image, dtype=np.float32).mean(-1, keepdims=True).repeat(3, -1)
    size = f"{trace.windows[0]} x {trace.windows[1]} windows"
    if trace.gathered.shape[1] == 0:  # no gathering tokens
        picture = _to_image(0.7 * pixels)
        _draw_lines(picture, _edges(window), side, CAPTION)
        return Panel("windows", picture, [Legend(f"{size}, without gathering tokens")])
    share = trace.gathered[0].gather(0, trace.window[None])[0]  # [N], of the window's own gathering tokens
    sums = torch.zeros(trace.gathered.shape[1]).index_add(0, trace.window, share)
    counts = torch.bincount(trace.window, minlength=len(sums))
    relative = _to_map(share / (sums / counts)[trace.window], trace)  # to the mean of the window
    top = float(np.quantile(relative, 0.98))
    heat = 255 * HEAT(np.clip(relative / top, 0, 1))[..., :3].astype(np.float32)
    picture = _to_image(0.3 * pixels + 0.7 * _enlarge(heat, side))
    _draw_lines(picture, _edges(window), side, CAPTION)
    return Panel("what each window gathers", picture, [Legend(f"{size}; the mark is the mean of each")], scale=top)


def _to_map(values: Tensor, trace: TokenTrace) -> np.ndarray:
    """[N] to [rows, columns]."""
    array: np.ndarray = values.cpu().numpy().reshape(trace.grid)
    return array


def _enlarge(values: np.ndarray, side: int) -> np.ndarray:
    """Every token as a square of pixels."""
    return values.repeat(side, axis=0).repeat(side, axis=1)


def _to_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _edges(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between which neighbours the label changes: below each other [rows - 1, columns], and side by side."""
    return labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]


def _draw_lines(
    picture: Image.Image, edges: tuple[np.ndarray, np.ndarray], side: int, colour: tuple[int, int, int]
) -> None:
    """A line wherever the label changes."""
    draw = ImageDraw.Draw(picture)
    width = 3 if colour == CAPTION else 2 if side >= 24 else 1
    for row, column in np.argwhere(edges[0]):
        x, y = column * side, (row + 1) * side
        draw.line((x, y, x + side, y), fill=colour, width=width)
    for row, column in np.argwhere(edges[1]):
        x, y = (column + 1) * side, row * side
        draw.line((x, y, x, y + side), fill=colour, width=width)


def _lay_out(panels: Sequence[Panel], title: str, notes: Sequence[str]) -> Image.Image:
    """The panels side by side, with their titles above and their legends below."""
    width, height = panels[0].image.size
    gap, size = 20, 17
    font, large, line = load_font(size), load_font(22), 26
    top = gap + (1 + len(notes)) * line + 14
    below = top + line + 4 + height + 12
    lines = max(len(panel.legend) + (panel.scale is not None) for panel in panels)
    sheet = Image.new("RGB", (gap + len(panels) * (width + gap), below + lines * line + gap), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    room = sheet.width - 2 * gap
    draw.text((gap, gap - 4), wrap_text(title, large, room, 1)[0], font=large, fill=CAPTION)
    for number, note in enumerate(notes, start=1):
        draw.text((gap, gap + number * line + 2), wrap_text(note, font, room, 1)[0], font=font, fill=FAINT)
    for number, panel in enumerate(panels):
        x, y = gap + number * (width + gap), below
        draw.text((x, top), wrap_text(panel.title, font, width, 1)[0], font=font, fill=CAPTION)
        sheet.paste(panel.image, (x, top + line + 4))
        if panel.scale is not None:
            _draw_scale(draw, x, y, panel.scale, width)
            y += line
        for legend in panel.legend:
            indent = 0
            if legend.colour is not None:
                draw.rounded_rectangle((x, y + 3, x + size - 2, y + size + 1), 3, fill=legend.colour)
                indent = size + 8
            draw.text((x + indent, y), wrap_text(legend.text, font, width - indent, 1)[0], font=font, fill=FAINT)
            y += line
    return sheet


def _draw_scale(draw: ImageDraw.ImageDraw, x: int, y: int, top: float, width: int) -> None:
    """The colours from 0 to `top`, with a mark at 1."""
    font, length = load_font(17), width // 2
    draw.text((x, y), "0", font=font, fill=FAINT)
    left = x + 18
    for offset in range(length):
        red, green, blue, _ = HEAT(offset / length)
        colour = (round(255 * red), round(255 * green), round(255 * blue))
        draw.line((left + offset, y + 4, left + offset, y + 17), fill=colour)
    if top > 1:
        mark = left + round(length / top)
        draw.line((mark, y + 1, mark, y + 20), fill=CAPTION, width=2)
    draw.text((left + length + 8, y), f"{top:.1f} times the mean", font=font, fill=FAINT)
