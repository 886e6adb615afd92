"""What a segmentation is."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from faster_coco_eval.core import mask as coco_masks
from numpy.typing import NDArray
from PIL import Image

from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.mask_files import read_index_mask
from fastitpn.inference.drawing import MOST_FRAME_PX, Share, fitted, sized_frame, with_panel
from fastitpn.inference.results import FRAME_CLASSES, Result, Results
from fastitpn.reporting.overlays import index_image, overlay, with_legend

_NAMED = 3
_CAPTION_CLASSES = 2


@dataclass(frozen=True, kw_only=True)
class ClassShare:
    """One class in an image.

    Attributes:
        name: Name of the class.
        label: Its place among the classes.
        share: Share of the image's pixels, in [0, 1].
        confidence: Mean probability of the class over these pixels.
    """

    name: str
    label: int
    share: float
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Segmentation(Result):
    """The class of each pixel of one image.

    Attributes:
        size: Width and height in px.
        classes: Names and colours.
        found: The classes that are there, the largest first.
        mask: The labels [H, W], or the index PNG that holds them.
    """

    part: ClassVar[str] = "classes"
    """What JSON calls the parts of the image that are predicted."""

    size: tuple[int, int]
    classes: SegmentationClasses
    found: tuple[ClassShare, ...]
    mask: NDArray[np.integer] | Path = field(repr=False, compare=False)

    @functools.cached_property
    def labels(self) -> NDArray[np.uint8]:
        """[H, W]: for each pixel the place of its class in `classes.names`.

        Raises:
            InputError: They were written to a file that is gone.
        """
        if not isinstance(self.mask, Path):
            return self.mask.astype(np.uint8, copy=False)
        return (read_index_mask(self.mask) - int(self.classes.reduce_zero_label)).astype(np.uint8)

    @property
    def cells(self) -> NDArray[Any]:
        """[H, W]: what is predicted for each pixel."""
        return self.labels

    def index_image(self) -> Image.Image:
        """The labels as a picture of mode P, numbered as the masks of the training: it can be used as one of them."""
        if self.classes.reduce_zero_label:
            return index_image(self.labels + np.uint8(1), ((0, 0, 0), *self.classes.colors))
        return index_image(self.labels, self.classes.colors)

    def draw(self, px: int | None = None, *, opacity: float = 0.55, legend: bool = True) -> Image.Image:
        """The colours of the classes, other than a background, over the image, and what they mean.

        Args:
            px: Longest side of the image in the picture; None for its own size.
            opacity: How much the colours cover the image, 0 to 1.
            legend: Name the classes below, with their share of the image, and things with their number.

        Raises:
            InputError: The file is gone.
        """
        image, cells = self.source.read(), self.cells
        if px is not None and px < max(image.size):
            scale = px / max(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.BICUBIC)
            cells = np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.NEAREST))
        picture = self._over(image, cells, opacity)
        if not legend:
            return picture
        clear = self.classes.background
        return with_legend(
            picture,
            [
                (
                    None if entry.label in clear else self.classes.colors[entry.label],
                    f"{self._name(entry)} {entry.share:.0%}",
                )
                for entry in self.found
            ],
        )

    def summary(self, most: int = _NAMED) -> str:
        """The largest classes in words."""
        return ", ".join(f"{entry.name} {entry.share:.0%}" for entry in self.found[:most])

    def caption(self) -> str:
        """The two largest classes."""
        return self.summary(_CAPTION_CLASSES)

    def shares(self) -> list[Share]:
        """The classes with their share of the image, the largest first."""
        return [Share(entry.name, entry.share, self.classes.colors[entry.label]) for entry in self.found]

    def picture(self, px: int) -> Image.Image:
        """The image in colour; small ones are enlarged."""
        drawn = self.draw(px, legend=False)
        return drawn if max(drawn.size) == px else fitted(drawn, px)

    def tile(self, px: int) -> Image.Image:
        """The image in colour."""
        return self.draw(px, legend=False)

    def frame(self) -> Image.Image:
        """The frame in colour, with the largest classes in a corner."""
        return with_panel(sized_frame(self.draw(MOST_FRAME_PX, legend=False)), self.shares()[:FRAME_CLASSES])

    def csv_rows(self) -> list[dict[str, Any]]:
        """A line for each class that is there."""
        return [
            {"class": entry.name, "share": round(entry.share, 6), "confidence": round(entry.confidence, 4)}
            for entry in self.found
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain types: index, path, size, the PNG if one was written, and the parts: classes, or COCO's segments."""
        return {
            **super().to_json(),
            "width": self.size[0],
            "height": self.size[1],
            "mask": str(self.mask) if isinstance(self.mask, Path) else None,
            self.part: self._parts(),
        }

    def frame_json(self) -> dict[str, Any]:
        """What `to_json` gives, each part with its mask in run lengths as COCO's tools pack them."""
        row = super().frame_json()
        for part, mask in zip(row[self.part], self._masks(), strict=True):
            packed = coco_masks.encode(np.asfortranarray(mask, np.uint8))
            part["mask"] = {"size": [int(side) for side in packed["size"]], "counts": packed["counts"].decode("ascii")}
        return row

    def _over(self, image: Image.Image, cells: NDArray[Any], opacity: float) -> Image.Image:
        return overlay(image, cells, self.classes.colors, opacity=opacity, clear=self.classes.background)

    def _name(self, share: ClassShare) -> str:
        return share.name

    def _parts(self) -> list[dict[str, Any]]:
        offset = int(self.classes.reduce_zero_label)
        return [
            {"name": entry.name, "number": entry.label + offset, "share": entry.share, "confidence": entry.confidence}
            for entry in self.found
        ]

    def _masks(self) -> Iterator[NDArray[np.bool_]]:
        """The mask [H, W] of each part."""
        return (self.labels == entry.label for entry in self.found)


@dataclass(frozen=True, repr=False)
class Segmentations(Results[Segmentation]):
    """The segmentations of all images, in the order in which they were given."""
