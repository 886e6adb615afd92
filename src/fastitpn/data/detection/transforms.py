"""What happens to an image, its boxes and its masks together. Masks are only ever resized by taking nearest pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from fastitpn.data.datasets import Sample
from fastitpn.data.detection.annotations import Annotations
from fastitpn.data.detection.masks import unpack_masks
from fastitpn.data.images.photometric import distort_colors

_SMALLEST_PX = 1.0
"""Boxes whose sides are shorter than this when all is done are no targets."""
_PUBLISHED_PX = 800
_CROP_SHORTER, _CROP_LEAST, _CROP_MOST = (400, 500, 600), 384, 600
"""DETR's crop at 800 px: shorter sides of which one is drawn, and the least and greatest side of the part; else in
proportion."""


@dataclass(frozen=True, kw_only=True)
class _Geometry:
    """A part of an image, top, left, height and width in its pixels, and the size that it is brought to."""

    part: tuple[int, int, int, int]
    size: tuple[int, int]
    flip: bool


def shorter_side_size(height: int, width: int, px: int, max_px: int) -> tuple[int, int]:
    """Height and width of an image whose shorter side is brought to `px`, but its longer one to `max_px` at most."""
    scale = min(px / min(height, width), max_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


@dataclass(frozen=True, kw_only=True)
class DetectTrain:
    """The training view: the image, whole or a part, in one of several sizes, or large-scale jitter; flip, colours.

    The part is DETR's (Carion et al., 2020): the image is thought to be brought to a shorter side of 400, 500 or 600
    px, of which a rectangle of 384 to 600 px a side is cut at a random place. It is scaled once, from the original
    pixels.

    Large-scale jitter scales an image that would just fit into a square by a random factor, takes a random part of it
    where it became larger than the square, and fills the square up at the right and bottom. Only the part is scaled,
    which gives the same at less work. Source: Ghiasi et al., "Simple Copy-Paste", section 3. What leaves the view is
    cut off: boxes go with the masks' visible part where there are masks. All that is random comes from torch's global
    generator.

    Attributes:
        mean: Per channel, of values in 0..1.
        std: Per channel, divided by.
        px: Lengths for the shorter side, of which each image gets one.
        max_px: Greatest length of the longer side.
        crop: Probability of a part, for images that are no squares.
        crop_px: Shorter side to which the lengths of the part are in proportion; published: 800.
        square_px: Side of the square for large-scale jitter; None leaves images whole, by `px` and `max_px`.
        scale_range: Smallest and largest factor of the jitter; (1, 1) fits images into the square.
        hflip: Probability of a left-right flip.
        photometric: Distort brightness, contrast, saturation and hue, each in half of the images.
    """

    mean: Sequence[float]
    std: Sequence[float]
    px: tuple[int, ...] = (800,)
    max_px: int = 1333
    crop: float = 0.0
    crop_px: int = _PUBLISHED_PX
    square_px: int | None = None
    scale_range: tuple[float, float] = (0.1, 2.0)
    hflip: float = 0.5
    photometric: bool = False

    def __call__(self, image: Image.Image, annotations: Annotations) -> Sample:
        """An RGB image and what is in it to a sample.

        Returns:
            `image` float32 [3, h, w], normalised; `boxes` float32 [n, 4] and `labels` int64 [n] of what is left of
            the instances that are no crowd; `ignored` float32 [k, 4], the boxes of crowds; with masks also `masks`
            uint8 [n, h, w].
        """
        geometry = self._draw(image.height, image.width)
        pixels = _resize(F.crop(F.pil_to_tensor(image), *geometry.part), geometry, antialias=True)
        pixels = distort_colors(pixels) if self.photometric else pixels
        pixels = _normalised(pixels, self.mean, self.std)
        canvas = (image.height, image.width)
        ignored, _ = _moved(annotations.boxes[annotations.crowd], canvas, geometry)
        chosen = (~annotations.crowd).nonzero()[:, 0]
        boxes, kept = _moved(annotations.boxes[chosen], canvas, geometry)
        chosen = chosen[kept]
        masks = None
        if annotations.masks is not None:
            packed = [annotations.masks[place] for place in chosen.tolist()]
            masks = _resize(F.crop(unpack_masks(packed, *canvas), *geometry.part), geometry)
            if geometry.part != (0, 0, *canvas):
                boxes, masks, chosen = _tightened(boxes, masks, chosen)
        if self.square_px is not None:
            padding = [0, 0, self.square_px - geometry.size[1], self.square_px - geometry.size[0]]  # right, bottom
            pixels, masks = F.pad(pixels, padding), None if masks is None else F.pad(masks, padding)
        sample = {
            "image": pixels.contiguous(),
            "boxes": boxes,
            "labels": annotations.labels[chosen],
            "ignored": ignored,
        }
        return sample if masks is None else sample | {"masks": masks.contiguous()}

    def _draw(self, height: int, width: int) -> _Geometry:
        if self.square_px is None:
            part = (0, 0, height, width)
            if self.crop > 0 and torch.rand(()) < self.crop:
                part = self._part(height, width)
            px = self.px[int(torch.randint(len(self.px), ()))]
            size = shorter_side_size(*part[2:], px, self.max_px)
        else:
            low, high = self.scale_range
            scale = self.square_px / max(height, width) * (low + (high - low) * float(torch.rand(())))
            part_height, part_width = (min(side, max(1, round(self.square_px / scale))) for side in (height, width))
            top = int(torch.randint(height - part_height + 1, ()))
            left = int(torch.randint(width - part_width + 1, ()))
            part = (top, left, part_height, part_width)
            size = self._scaled(height, part_height, scale), self._scaled(width, part_width, scale)
        return _Geometry(part=part, size=size, flip=bool(torch.rand(()) < self.hflip))

    def _part(self, height: int, width: int) -> tuple[int, int, int, int]:
        """A random part of an image: top, left, height and width in its pixels."""
        shorter = _CROP_SHORTER[int(torch.randint(len(_CROP_SHORTER), ()))] * self.crop_px / _PUBLISHED_PX
        scale = shorter / min(height, width)
        least, most = (side * self.crop_px / _PUBLISHED_PX for side in (_CROP_LEAST, _CROP_MOST))
        sides = []
        for side in (height, width):
            longest = min(side * scale, most)
            drawn = (least + (longest - least) * float(torch.rand(()))) / scale
            sides.append(min(side, max(1, round(drawn))))
        top, left = (int(torch.randint(s - p + 1, ())) for s, p in zip((height, width), sides, strict=True))
        return top, left, sides[0], sides[1]

    def _scaled(self, side: int, part: int, scale: float) -> int:
        """The side of a part after scaling: that of the square, or less where the whole image is smaller."""
        assert self.square_px is not None
        return self.square_px if part < side else min(self.square_px, max(1, round(side * scale)))


@dataclass(frozen=True, kw_only=True)
class DetectEval:
    """The whole image in the size in which it is looked at; `px` = `max_px` fits it into a square.

    Attributes:
        mean: Per channel, of values in 0..1.
        std: Per channel, divided by.
        px: Length of the shorter side.
        max_px: Greatest length of the longer side.
    """

    mean: Sequence[float]
    std: Sequence[float]
    px: int = 800
    max_px: int = 1333

    def __call__(self, image: Image.Image) -> Tensor:
        """An RGB image to float32 [3, h, w], normalised."""
        size = shorter_side_size(image.height, image.width, self.px, self.max_px)
        pixels = F.resize(F.pil_to_tensor(image), list(size), antialias=True)
        return _normalised(pixels, self.mean, self.std)


def _resize(pixels: Tensor, geometry: _Geometry, antialias: bool = False) -> Tensor:
    """Part of an image, or with masks [n, h, w] of nearest pixels, to its size; flipped if it is to be."""
    mode = v2.InterpolationMode.BILINEAR if antialias else v2.InterpolationMode.NEAREST_EXACT
    if len(pixels) == 0:
        return pixels.new_zeros(0, *geometry.size)
    pixels = F.resize(pixels, list(geometry.size), interpolation=mode, antialias=antialias)
    return F.horizontal_flip(pixels) if geometry.flip else pixels


def _moved(boxes: Tensor, canvas: tuple[int, int], geometry: _Geometry) -> tuple[Tensor, Tensor]:
    """Boxes [n, 4] of a canvas that are still seen, and which of them are."""
    moved: Tensor = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=canvas)
    moved = F.resize(F.crop(moved, *geometry.part), list(geometry.size))
    moved = F.horizontal_flip(moved) if geometry.flip else moved
    moved, kept = F.sanitize_bounding_boxes(moved, min_size=_SMALLEST_PX)
    return moved.as_subclass(Tensor), kept


def _tightened(boxes: Tensor, masks: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes around what is left of the masks; instances of which nothing is left go."""
    seen = masks.bool().any(dim=2).any(dim=1)  # of uint8, any() gives uint8
    boxes, masks, chosen = boxes[seen], masks[seen], chosen[seen]
    around = masks_to_boxes(masks) + torch.tensor([0.0, 0.0, 1.0, 1.0])
    low, high = torch.maximum(boxes[:, :2], around[:, :2]), torch.minimum(boxes[:, 2:], around[:, 2:])
    kept = ((high - low) >= _SMALLEST_PX).all(dim=1)
    return torch.cat([low, high], dim=1)[kept], masks[kept], chosen[kept]


def _normalised(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    return F.normalize(F.to_dtype(pixels, torch.float32, scale=True), list(mean), list(std))
