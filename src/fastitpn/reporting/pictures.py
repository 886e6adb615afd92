"""Pictures a person judges by eye: contact sheets of predictions, and what masked pre-training sees and predicts."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from fastitpn.reporting.pca import FeatureColours, pca_rgb
from fastitpn.reporting.values import printable, shorten

BACKGROUND, CAPTION, FAINT = (22, 24, 29), (236, 238, 241), (150, 157, 166)
GOOD, BAD = (46, 160, 103), (224, 82, 82)
HIDDEN = (128, 128, 128)
"""Colour of patches hidden from the network."""

PATCH_PX = 16
"""Side of a patch, the unit of masking."""


class Item(NamedTuple):
    """One image of a contact sheet or gallery."""

    image: Image.Image
    caption: str
    good: bool | None = None
    """True and False are marked right and wrong, None is not marked."""


def contact_sheet(
    items: Sequence[Item | tuple[Image.Image, str, bool | None]], columns: int = 6, *, tile_px: int = 200
) -> Image.Image:
    """Lay images out in a grid, each with its caption below.

    Args:
        items: (image, caption, good). A caption wraps to two lines and then ends with an ellipsis.
        columns: Images per row.
        tile_px: Side of the square each image is fitted into, uncropped.

    Returns:
        An RGB image.

    Raises:
        ValueError: No items, or no columns.
    """
    if not items or columns < 1:
        raise ValueError("a contact sheet needs at least one image and one column")
    columns = min(columns, len(items))
    size = max(13, tile_px // 13)
    font, line, gap = load_font(size), round(size * 1.35), max(10, tile_px // 12)
    texts = [wrap_text(caption, font, tile_px - (size + 8 if good is not None else 0)) for _, caption, good in items]
    caption_px = max(map(len, texts)) * line + 8
    pitch = tile_px + caption_px + gap
    rows = -(-len(items) // columns)
    sheet = Image.new("RGB", (columns * (tile_px + gap) + gap, rows * pitch + gap), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, ((image, _, good), lines) in enumerate(zip(items, texts, strict=True)):
        x, y = gap + number % columns * (tile_px + gap), gap + number // columns * pitch
        fitted = _fit(image, tile_px)
        left, top = x + (tile_px - fitted.width) // 2, y + (tile_px - fitted.height) // 2
        sheet.paste(fitted, (left, top))
        indent = 0
        if good is not None:
            frame = (left - 3, top - 3, left + fitted.width + 2, top + fitted.height + 2)
            draw.rectangle(frame, outline=GOOD if good else BAD, width=3)
            _draw_mark(draw, x, y + tile_px + 9, size, good)
            indent = size + 8
        for row, text in enumerate(lines):
            draw.text((x + indent, y + tile_px + 8 + row * line), text, font=font, fill=CAPTION)
    return sheet


def to_pictures(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> list[Image.Image]:
    """Undo the normalisation of a batch.

    Args:
        images: [B, 3, H, W], normalised.
        mean: Mean of each channel, which normalisation subtracted.
        std: Standard deviation of each channel, which normalisation divided by.
    """
    x = images.detach().float().cpu() * torch.tensor(std).view(3, 1, 1) + torch.tensor(mean).view(3, 1, 1)
    pixels = (torch.nan_to_num(x).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)  # [B, H, W, 3]
    return [Image.fromarray(picture.numpy()) for picture in pixels]


def masked_rows(
    images: Sequence[Image.Image],
    masked: Tensor,
    targets: Tensor,
    predictions: Tensor,
    level: Tensor | None = None,
    *,
    tile_px: int = 180,
) -> Image.Image:
    """One row per image: image, masked image, target, prediction and, if given, the finest pyramid level.

    Target and prediction are scaled to unit length (the cosine loss leaves a prediction's length free) and share their
    colours, which are fitted on the targets of all rows: where the colours agree, the prediction is right.

    Args:
        images: B images as the student saw them, sides multiples of 16; see `to_pictures`.
        masked: bool [B, N], True = hidden, N = H/16 * W/16.
        targets: [B, N, C], the teacher's tokens.
        predictions: [B, N, C].
        level: [B, C', h, w], for example `pyramid_features(x)[0]` at stride 4; coloured on its own.
        tile_px: Longer side of each picture.

    Raises:
        ValueError: The shapes do not fit together.
    """
    B, (width, height) = len(images), images[0].size if images else (0, 0)
    h, w = height // PATCH_PX, width // PATCH_PX
    if any(image.size != (width, height) for image in images) or tuple(masked.shape) != (B, h * w) or not h * w:
        raise ValueError(
            f"masked {tuple(masked.shape)} does not fit {B} images of {height}x{width} px: [B, N] expected"
        )
    if targets.shape != predictions.shape or tuple(targets.shape[:2]) != (B, h * w):
        raise ValueError(
            f"targets {tuple(targets.shape)} and predictions {tuple(predictions.shape)} must both be [{B}, {h * w}, C]"
        )
    unit_targets, unit_predictions = (F.normalize(x.detach().float().cpu(), dim=-1) for x in (targets, predictions))
    colours = FeatureColours.fit(unit_targets)
    hidden = masked.detach().cpu().reshape(B, h, w).numpy()
    tiles = [
        list(images),
        [hide(image, grid) for image, grid in zip(images, hidden, strict=True)],
        _maps(colours(unit_targets).reshape(B, h, w, 3)),
        _maps(colours(unit_predictions).reshape(B, h, w, 3)),
    ]
    titles = ["image", "what the model sees", "target", "prediction"]
    if level is not None:
        tiles.append(level_pictures(level))
        titles.append(f"pyramid, stride {height / level.shape[2]:g}")
    return picture_rows(titles, tiles, tile_px=tile_px, smooth=2)


def picture_rows(
    titles: Sequence[str], columns: Sequence[Sequence[Image.Image]], *, tile_px: int = 180, smooth: int
) -> Image.Image:
    """Columns of pictures, all as large as the first one, each with its title; a row for each image.

    Args:
        titles: One for each column.
        columns: Pictures from top to bottom.
        tile_px: Longer side of each picture.
        smooth: So many columns are photographs, resized smoothly; the others show cells.
    """
    B, (width, height), tiles = len(columns[0]), columns[0][0].size, columns
    scale = tile_px / max(width, height)
    tile = (round(width * scale), round(height * scale))
    gap, font = max(6, tile_px // 24), load_font(max(13, tile_px // 13))
    top = gap + 2 * int(font.size)
    sheet = Image.new("RGB", (gap + len(tiles) * (tile[0] + gap), top + B * (tile[1] + gap)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for column, (title, pictures) in enumerate(zip(titles, tiles, strict=True)):
        x = gap + column * (tile[0] + gap)
        draw.text((x, gap + font.size * 0.3), wrap_text(title, font, tile[0], 1)[0], font=font, fill=CAPTION)
        for row, picture in enumerate(pictures):
            sampling = Image.Resampling.BICUBIC if column < smooth else Image.Resampling.NEAREST
            sheet.paste(picture.convert("RGB").resize(tile, sampling), (x, top + row * (tile[1] + gap)))
    return sheet


def level_pictures(level: Tensor) -> list[Image.Image]:
    """A level of the pyramid, [B, C, h, w], coloured by its main directions."""
    return _maps(pca_rgb(level.permute(0, 2, 3, 1)))


def hide(image: Image.Image, hidden: np.ndarray) -> Image.Image:
    """Paint the hidden patches ([h, w] bool) grey."""
    pixels = np.array(image.convert("RGB"))
    pixels[np.kron(hidden, np.ones((PATCH_PX, PATCH_PX), dtype=bool))] = HIDDEN
    return Image.fromarray(pixels)


def _maps(colours: Tensor) -> list[Image.Image]:
    """uint8 [B, h, w, 3] to images."""
    return [Image.fromarray(colour.numpy()) for colour in colours]


def _fit(image: Image.Image, side: int) -> Image.Image:
    """The whole image within a square; transparency on the sheet's background."""
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (*BACKGROUND, 255)), layer)
    return ImageOps.contain(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)


def _draw_mark(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, good: bool) -> None:
    """A green tick or a red cross: shape and colour both tell."""
    draw.ellipse((x, y, x + size, y + size), fill=GOOD if good else BAD)
    strokes = [[(0.27, 0.53), (0.43, 0.69), (0.74, 0.34)]]
    if not good:
        strokes = [[(0.32, 0.32), (0.68, 0.68)], [(0.68, 0.32), (0.32, 0.68)]]
    for stroke in strokes:
        draw.line([(x + size * u, y + size * v) for u, v in stroke], fill=(255, 255, 255), width=max(2, size // 7))


@functools.cache
def load_font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: the same letters on every machine, Greek and Cyrillic among them."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def wrap_text(text: str, font: ImageFont.FreeTypeFont, width: int, max_lines: int = 2) -> list[str]:
    """Break a text into lines no wider than `width` pixels; what does not fit becomes an ellipsis."""
    rest = shorten(printable(" ".join(text.split())), 300)
    lines: list[str] = []
    while rest and len(lines) < max_lines:
        count = len(rest)
        while count > 1 and font.getlength(rest[:count]) > width:
            count -= 1
        if count < len(rest):
            if len(lines) == max_lines - 1:
                while count > 1 and font.getlength(rest[:count].rstrip() + "…") > width:
                    count -= 1
                lines.append(rest[:count].rstrip() + "…")
                break
            space = rest.rfind(" ", 1, count + 1)  # else at a sign between the words of a name
            joint = max(rest.rfind(sign, 1, count) + 1 for sign in "_-./,")
            count = space if space > 0 else joint or count
        lines.append(rest[:count].rstrip())
        rest = rest[count:].lstrip()
    return lines or [""]
