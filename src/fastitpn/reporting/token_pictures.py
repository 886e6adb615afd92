"""What token migration and token gathering do to an image: the tokens that leave, their matches, and the windows."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageColor, ImageDraw
from torch import Tensor

from fastitpn.models.acceleration.token_trace import TokenTrace
from fastitpn.reporting.panels import Legend, Panel, Row, Scale, enlarge, gray, heat, lay_out, to_image
from fastitpn.reporting.pictures import BACKGROUND, CAPTION
from fastitpn.reporting.svg import PALETTE

TILE_PX = 448
"""Longer side of each picture, about: a token is a whole number of pixels, and not too few."""
FEWEST_PX = 10
"""Side of a token in the picture, at least."""


def token_picture(image: Image.Image, trace: TokenTrace, *, title: str, notes: Sequence[str] = ()) -> Image.Image:
    """`token_panels` in one picture.

    Args:
        image: The image as the model saw it; its size is that of the trace's grid times the side of a patch.
        trace: Trace of this image alone, see `FastITPN.trace_tokens`.
        title: Such as the name of the file.
        notes: Lines below it, such as the model and its acceleration.

    Raises:
        ValueError: The trace is of several images.
    """
    return lay_out([Row(title, token_panels(image, trace), notes)])


def token_panels(image: Image.Image, trace: TokenTrace) -> list[Panel]:
    """One image as it is, the tokens that left it at each step, what these were matched with, and what was gathered.

    Panels for which there is nothing to show are left out. The arguments are those of `token_picture`.

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
    return panels


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
        gone = enlarge(left == number, side)
        pixels = np.where(gone[..., None], 0.5 * faint + 0.5 * np.array(colour, np.float32), pixels)
    picture = to_image(pixels)
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
    pixels = gray(image)
    size = f"{trace.windows[0]} x {trace.windows[1]} windows"
    if trace.gathered.shape[1] == 0:  # no gathering tokens
        picture = to_image(0.7 * pixels)
        _draw_lines(picture, _edges(window), side, CAPTION)
        return Panel("windows", picture, [Legend(f"{size}, without gathering tokens")])
    share = trace.gathered[0].gather(0, trace.window[None])[0]  # [N], of the window's own gathering tokens
    sums = torch.zeros(trace.gathered.shape[1]).index_add(0, trace.window, share)
    counts = torch.bincount(trace.window, minlength=len(sums))
    relative = _to_map(share / (sums / counts)[trace.window], trace)  # to the mean of the window
    top = float(np.quantile(relative, 0.98))
    picture = to_image(0.3 * pixels + 0.7 * enlarge(heat(relative / top), side))
    _draw_lines(picture, _edges(window), side, CAPTION)
    scale = Scale("0", f"{top:.1f} times the mean", mark=1 / top if top > 1 else None)
    return Panel("what each window gathers", picture, [Legend(f"{size}; the mark is the mean of each")], scale=scale)


def _to_map(values: Tensor, trace: TokenTrace) -> np.ndarray:
    """[N] to [rows, columns]."""
    array: np.ndarray = values.cpu().numpy().reshape(trace.grid)
    return array


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
