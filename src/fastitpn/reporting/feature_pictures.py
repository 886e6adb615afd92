"""Feature maps, attention and similarity, drawn at the size of their image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fastitpn.reporting.panels import Legend, Panel, Scale, enlarge, gray, heat, to_image

PANEL_PX = 288
"""Longer side of each picture, about: a token is a whole number of pixels, which 4 divides."""
_HEAT_OPACITY = 0.72

Grid = tuple[int, int]
"""Rows and columns."""


def token_px(grid: Grid) -> int:
    """Side of a token in a picture."""
    return max(4, 4 * round(PANEL_PX / max(grid) / 4))


def image_panel(image: Image.Image, grid: Grid, token: Grid | None = None) -> Panel:
    """The image as the model saw it, with a token marked.

    Args:
        image: The image; its size is that of the grid times the side of a patch.
        grid: Tokens per column and per row.
        token: Row and column of the patch to mark.
    """
    legend = [Legend(f"{grid[0]} x {grid[1]} tokens")]
    if token is not None:
        legend.append(Legend(f"the token {token[0]},{token[1]}"))
    return Panel("image", mark_token(_resized(image, grid), grid, token), legend)


def colour_panel(title: str, colours: NDArray[np.uint8], grid: Grid) -> Panel:
    """A feature map in colours.

    Args:
        title: Words above the panel.
        colours: RGB values of each cell, [h, w, 3].
        grid: Tokens per column and per row.
    """
    return Panel(title, Image.fromarray(_to_grid(colours, grid)), [Legend(f"{colours.shape[0]} x {colours.shape[1]}")])


def heat_panel(
    title: str,
    values: NDArray[np.float32],
    image: Image.Image,
    grid: Grid,
    *,
    token: Grid | None,
    scale: Scale,
    legend: Sequence[Legend] = (),
) -> Panel:
    """Values as heat over the image.

    Args:
        title: Words above the panel.
        values: [h, w]; 0 is the coldest, 1 the hottest.
        image: The image in the size in which the model saw it.
        grid: Tokens per column and per row.
        token: Row and column of the one to mark.
        scale: What 0 and 1 stand for.
        legend: Lines below.
    """
    hot = _to_grid(heat(values), grid)
    picture = to_image((1 - _HEAT_OPACITY) * gray(_resized(image, grid)) + _HEAT_OPACITY * hot)
    return Panel(title, mark_token(picture, grid, token), legend, scale)


def plain_panel(title: str, image: Image.Image, grid: Grid, legend: Sequence[Legend]) -> Panel:
    """The image without colours, where there is nothing to draw on it."""
    return Panel(title, to_image(0.5 * gray(_resized(image, grid))), legend)


def mark_token(picture: Image.Image, grid: Grid, token: Grid | None) -> Image.Image:
    """A frame around a token, white in black, which shows on anything."""
    if token is not None:
        side = token_px(grid)
        left, top = token[1] * side, token[0] * side
        draw = ImageDraw.Draw(picture)
        for margin, colour in ((2, (0, 0, 0)), (1, (255, 255, 255)), (0, (0, 0, 0))):
            draw.rectangle(
                (left - margin, top - margin, left + side - 1 + margin, top + side - 1 + margin), None, colour
            )
    return picture


def _resized(image: Image.Image, grid: Grid) -> Image.Image:
    side = token_px(grid)
    return image.convert("RGB").resize((grid[1] * side, grid[0] * side), Image.Resampling.BICUBIC)


def _to_grid(cells: np.ndarray, grid: Grid) -> np.ndarray:
    """Cells [h, w, C] at the size of the picture; of a coarse map, cut off where its last cells reach beyond it."""
    side = token_px(grid)
    finer = cells.shape[0] // grid[0]
    px = side // finer if finer else side * -(-grid[0] // cells.shape[0])
    return enlarge(cells, px)[: grid[0] * side, : grid[1] * side]
