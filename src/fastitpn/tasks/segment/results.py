"""What a segmentation is."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.masks import read_index_mask
from fastitpn.errors import InputError
from fastitpn.inference.results import SHEET_IMAGES, Results
from fastitpn.inference.sources import Source
from fastitpn.reporting.overlays import index_image, overlay, with_legend
from fastitpn.reporting.pictures import contact_sheet

_NAMED = 3
_CAPTION_CLASSES = 2


@dataclass(frozen=True, kw_only=True)
class ClassShare:
    """One class in an image.

    Attributes:
        name: Of the class.
        label: Its place among the classes.
        share: Of the image's pixels, in [0, 1].
        confidence: Mean probability of the class over these pixels.
    """

    name: str
    label: int
    share: float
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """The class of each pixel of one image.

    Attributes:
        index: Place of the image among all that were given, those of folders counted one by one.
        path: Its file; None for an image that was given as a picture, an array or a tensor.
        size: Width and height in px.
        classes: Names and colours.
        found: The classes that are there, the largest first.
        mask: The labels [H, W], or the index PNG that holds them.
        source: The image itself, for `draw`.
    """

    index: int
    path: Path | None
    size: tuple[int, int]
    classes: SegmentationClasses
    found: tuple[ClassShare, ...]
    mask: NDArray[np.integer] | Path = field(repr=False, compare=False)
    source: Source = field(repr=False, compare=False)

    @functools.cached_property
    def labels(self) -> NDArray[np.uint8]:
        """[H, W]: for each pixel the place of its class in `classes.names`.

        Raises:
            InputError: They were written to a file that is gone.
        """
        if not isinstance(self.mask, Path):
            return self.mask.astype(np.uint8, copy=False)
        return (read_index_mask(self.mask) - int(self.classes.reduce_zero_label)).astype(np.uint8)

    def index_image(self) -> Image.Image:
        """The labels as a picture of mode P, numbered as the masks of the training: it can be used as one of them."""
        if self.classes.reduce_zero_label:
            return index_image(self.labels + np.uint8(1), ((0, 0, 0), *self.classes.colors))
        return index_image(self.labels, self.classes.colors)

    def draw(self, px: int | None = None, *, opacity: float = 0.55, legend: bool = True) -> Image.Image:
        """The colours of the classes over the image, and what they mean.

        Args:
            px: Longest side of the image in the picture; None for its own size.
            opacity: Of the colours, 0 to 1.
            legend: Name the classes below, with their share of the image.

        Raises:
            InputError: The file is gone.
        """
        image, labels = self.source.read(), self.labels
        if px is not None and px < max(image.size):
            scale = px / max(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.BICUBIC)
            labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
        picture = overlay(image, labels, self.classes.colors, opacity=opacity)
        if not legend:
            return picture
        return with_legend(
            picture, [(self.classes.colors[one.label], f"{one.name} {one.share:.0%}") for one in self.found]
        )

    def summary(self, most: int = _NAMED) -> str:
        """The largest classes in words."""
        return ", ".join(f"{one.name} {one.share:.0%}" for one in self.found[:most])

    def to_json(self) -> dict[str, Any]:
        """Plain types: index, path, size, the classes that are there, and the index PNG if one was written."""
        offset = int(self.classes.reduce_zero_label)
        return {
            "index": self.index,
            "path": None if self.path is None else str(self.path),
            "width": self.size[0],
            "height": self.size[1],
            "mask": str(self.mask) if isinstance(self.mask, Path) else None,
            "classes": [
                {"name": one.name, "number": one.label + offset, "share": one.share, "confidence": one.confidence}
                for one in self.found
            ],
        }


@dataclass(frozen=True)
class Segmentations(Results[Segmentation]):
    """The results for all images, in the order in which they were given."""

    def contact_sheet(self, *, columns: int = 8, px: int = 160, max_images: int = SHEET_IMAGES) -> Image.Image:
        """The first images with their classes in colour, in one picture.

        Args:
            columns: Images in a row.
            px: Side of each.
            max_images: How many.

        Raises:
            InputError: There are no predictions, or a file is gone.
        """
        if not self.results:
            raise InputError("there are no predictions to draw", expected="at least one image")
        items = [
            (result.draw(px, legend=False), result.source.caption(result.summary(_CAPTION_CLASSES)), None)
            for result in self.results[:max_images]
        ]
        return contact_sheet(items, columns, tile_px=px)

    def __repr__(self) -> str:
        shown = "; ".join(result.summary() for result in self.results[:2])
        more = "; ..." if len(self) > 2 else ""
        return f"Segmentations({len(self)} image{'s' * (len(self) != 1)}: {shown}{more}{self._others()})"
