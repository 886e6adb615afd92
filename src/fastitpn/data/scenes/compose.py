"""One scene: glyphs on a photograph, with the light, blur and noise of a real picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from fastitpn.data.scenes.sources import Glyph

Floats = NDArray[np.float32]

_TRIES = 6
_MIN_AREA_PX = 24


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture and what is in it.

    Attributes:
        image: The scene, RGB.
        instances: [H, W] uint8, 0 = background, i + 1 = object i where it is visible.
        glyphs: One for each object, back to front.
    """

    image: Image.Image
    instances: NDArray[np.uint8]
    glyphs: tuple[Glyph, ...]


@dataclass(frozen=True)
class Item:
    """A glyph to place.

    Attributes:
        glyph: The glyph to place.
        size_ratio: Its longer side over the shorter side of the scene.
        spread: How far its centre strays from the scene's: 0 = none, 1 = anywhere that leaves most of it inside.
    """

    glyph: Glyph
    size_ratio: float
    spread: float = 1.0


def compose(
    photograph: Image.Image,
    items: Sequence[Item],
    *,
    size: tuple[int, int],
    generator: np.random.Generator,
    min_visible_ratio: float = 0.0,
) -> Scene:
    """Places items on a random crop of a photograph, back to front.

    Args:
        photograph: The background, RGB.
        items: What to put on it, from back to front; at most 255.
        size: Width and height in px.
        generator: All that is random comes from it.
        min_visible_ratio: An item that would leave less than this of an earlier one visible is left out.
    """
    canvas = _background(photograph, size, generator)
    instances = np.zeros(canvas.shape[:2], np.uint8)
    areas: list[int] = []
    placed: list[Glyph] = []
    for item in items:
        cutout = _cutout(item, min(size), generator)
        for _ in range(_TRIES):
            left, top = _position(cutout, item.spread, size, generator)
            mask = _on_canvas(cutout[..., 3], left, top, instances.shape) >= 0.5
            counts = np.bincount(instances[~mask], minlength=len(areas) + 1)[1:]
            if mask.sum() >= _MIN_AREA_PX and np.all(counts >= min_visible_ratio * np.array(areas)):
                _shade(canvas, cutout[..., 3], left, top, generator)
                _blend(canvas, cutout, left, top)
                placed.append(item.glyph)
                areas.append(int(mask.sum()))
                instances[mask] = len(areas)
                break
    return Scene(image=_photographed(canvas, generator), instances=instances, glyphs=tuple(placed))


def _background(photograph: Image.Image, size: tuple[int, int], generator: np.random.Generator) -> Floats:
    aspect = size[0] / size[1]
    widest = min(photograph.width, photograph.height * aspect)
    width = widest * generator.uniform(0.3, 1.0)
    left = generator.uniform(0, photograph.width - width)
    top = generator.uniform(0, photograph.height - width / aspect)
    box = (left, top, left + width, top + width / aspect)
    crop = photograph.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if generator.random() < 0.5:
        crop = ImageOps.mirror(crop)
    return _recolour(np.asarray(crop, np.float32), generator, tint=0.14)


def _cutout(item: Item, scene_px: int, generator: np.random.Generator) -> Floats:
    """[h, w, 4]: colours in 0..255, alpha in 0..1."""
    picture = item.glyph.picture
    scale = item.size_ratio * scene_px / max(picture.size)
    squeeze = generator.uniform(0.87, 1.15)
    width, height = picture.width * scale * squeeze, picture.height * scale / squeeze
    picture = picture.resize((max(2, round(width)), max(2, round(height))), Image.Resampling.BICUBIC, reducing_gap=3.0)
    if generator.random() < 0.5:
        picture = ImageOps.mirror(picture)
    picture = picture.rotate(generator.uniform(-22, 22), Image.Resampling.BICUBIC, expand=True)
    cutout = np.array(picture, np.float32)
    colours = _recolour(cutout[..., :3], generator, tint=0.1)
    # Light from one side: a flat drawing becomes a thing that stands in the scene.
    direction, depth = generator.uniform(0, 2 * np.pi), generator.uniform(0.0, 0.4)
    across = np.linspace(-0.5, 0.5, cutout.shape[1], dtype=np.float32) * np.cos(direction)
    down = np.linspace(-0.5, 0.5, cutout.shape[0], dtype=np.float32) * np.sin(direction)
    light = 1 - depth * (0.5 + across[None, :] + down[:, None])
    cutout[..., :3] = colours * light[..., None]
    cutout[..., 3] /= 255
    return cutout


def _recolour(colours: Floats, generator: np.random.Generator, *, tint: float) -> Floats:
    saturation, contrast = generator.uniform(0.7, 1.2), generator.uniform(0.8, 1.15)
    gains = generator.uniform(0.75, 1.15) * generator.uniform(1 - tint, 1 + tint, 3)
    grey = colours.mean(axis=2, keepdims=True)
    mixed = (grey + saturation * (colours - grey) - 128) * contrast + 128
    return np.clip(mixed * gains.astype(np.float32), 0, 255).astype(np.float32)


def _position(cutout: Floats, spread: float, size: tuple[int, int], generator: np.random.Generator) -> tuple[int, int]:
    corner = []
    for scene, side in zip(size, (cutout.shape[1], cutout.shape[0]), strict=True):
        room = max(0.0, (scene - side) / 2 + 0.1 * min(side, scene)) * spread
        corner.append(round((scene - side) / 2 + generator.uniform(-room, room)))
    return corner[0], corner[1]


def _window(shape: tuple[int, ...], left: int, top: int, canvas: tuple[int, ...]) -> tuple[tuple, tuple]:
    """Slices of the canvas and of the thing put on it, where they overlap."""
    rows, columns = (
        slice(max(top, 0), min(top + shape[0], canvas[0])),
        slice(max(left, 0), min(left + shape[1], canvas[1])),
    )
    inside = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    return (rows, columns), inside


def _on_canvas(alpha: Floats, left: int, top: int, canvas: tuple[int, ...]) -> Floats:
    there, here = _window(alpha.shape, left, top, canvas)
    whole = np.zeros(canvas[:2], np.float32)
    whole[there] = alpha[here]
    return whole


def _shade(canvas: Floats, alpha: Floats, left: int, top: int, generator: np.random.Generator) -> None:
    """Darkens what is behind, a little below the thing."""
    reach = max(alpha.shape) / 14
    margin = int(3 * reach) + 1
    padded = Image.fromarray(np.pad(alpha * 255, margin).astype(np.uint8))
    shadow = np.asarray(padded.filter(ImageFilter.BoxBlur(reach)), np.float32) / 255
    left += round(generator.uniform(-1, 1) * reach) - margin
    top += round(generator.uniform(0.2, 1.2) * reach) - margin
    there, here = _window(shadow.shape, left, top, canvas.shape)
    canvas[there] *= 1 - generator.uniform(0.15, 0.6) * shadow[here][..., None]


def _blend(canvas: Floats, cutout: Floats, left: int, top: int) -> None:
    there, here = _window(cutout.shape, left, top, canvas.shape)
    alpha = cutout[here][..., 3:]
    canvas[there] += alpha * (cutout[here][..., :3] - canvas[there])


def _photographed(canvas: Floats, generator: np.random.Generator) -> Image.Image:
    """Focus and sensor noise, the same over things and background."""
    noise = generator.standard_normal(canvas.shape, dtype=np.float32) * np.float32(generator.uniform(0, 6))
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    if generator.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 0.9)))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))
