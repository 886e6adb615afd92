"""Images with a mask each, and where a command has them from."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fastitpn.data.segmentation.classes import SegmentationClasses, find_classes
from fastitpn.data.segmentation.masks import Labels, MaskReader
from fastitpn.data.segmentation.panoptic_codes import Codes
from fastitpn.data.segmentation.panoptic_labels import PanopticLabels

_MOST_COUNTED = 100
"""Images whose pixels are counted where that was not done while they were checked."""


@dataclass(frozen=True, kw_only=True)
class MaskedImages:
    """Images with a mask each.

    Attributes:
        images: Files of the images.
        masks: Files, one for each image; or annotations that make labels when asked for them.
        classes: With names.
        reader: Reads the files; None reads them as the classes say.
        counts: Pixels of each class, where they were counted.
    """

    images: list[Path]
    masks: list[Path] | Callable[[int], Labels]
    classes: SegmentationClasses
    reader: MaskReader | None = None
    counts: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def select(self, places: Sequence[int]) -> "MaskedImages":
        """The images at these positions, with the same classes."""
        masks: list[Path] | Callable[[int], Labels]
        if isinstance(self.masks, PanopticLabels):
            masks = self.masks.select(places)
        elif callable(self.masks):
            masks = _Chosen(self.masks, tuple(places))
        else:
            masks = [self.masks[place] for place in places]
        return replace(self, images=[self.images[place] for place in places], masks=masks, counts=None)

    def labels(self, index: int) -> Labels:
        """Labels uint8 [H, W] of an image."""
        return self.masks(index) if callable(self.masks) else self.read(self.masks[index])

    def pixels(self) -> list[int]:
        """Pixels of each class: those that were counted, else of images spread over all of them."""
        if self.counts is not None:
            return list(self.counts)
        step = -(-len(self) // _MOST_COUNTED)
        with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
            counts = pool.map(
                lambda index: np.bincount(self.labels(index).ravel(), minlength=256), range(0, len(self), step)
            )
            return [int(count) for count in sum(counts, np.zeros(256, np.int64))[: len(self.classes.names)]]

    @property
    def read(self) -> MaskReader:
        """Reads the files of the masks."""
        return self.reader or MaskReader.of(self.classes)

    def codes(self, index: int) -> Codes:
        """Codes of the segments, int32 [H, W], of an image of a panoptic data set."""
        assert isinstance(self.masks, PanopticLabels)
        return self.masks.codes(index)


@dataclass(frozen=True)
class _Chosen:
    """Labels of some of the images."""

    masks: Callable[[int], Labels]
    places: tuple[int, ...]

    def __call__(self, index: int) -> Labels:
        return self.masks(self.places[index])


@dataclass(frozen=True, kw_only=True)
class MaskFolders:
    """Where the data of a command is, and how to read it.

    Attributes:
        data: Folder that holds the folders of images and masks, or file, in one of the `FORMATS`.
        images: The folder of images, relative to `data`; None finds it.
        masks: The folder of masks.
        pattern: Name of a mask, with {stem} or {name} of its image; None finds it.
        values: Number in the masks of each class; empty if they are 0, 1, 2 and so on.
        classes: File with their names and colours; None finds it in `data`.
        ignore_index: Number in the masks of pixels to leave out; None takes the file's, else 255.
        reduce_zero_label: Number 0 is no class and 1 the first; None takes the file's, else false.
        on_error: Stop at pairs that cannot be used, or skip them.
        panoptic: Segments are wanted, and not classes of pixels alone.
        part: To evaluate on: "train", "val" or "test"; None takes val if there is one, else test, else all.
    """

    data: Path
    images: Path | None = None
    masks: Path | None = None
    pattern: str | None = None
    values: tuple[int, ...] = ()
    classes: Path | None = None
    ignore_index: int | None = None
    reduce_zero_label: bool | None = None
    on_error: Literal["stop", "skip"] = "stop"
    panoptic: bool = False
    part: str | None = None

    @classmethod
    def of(cls, config: Any) -> "MaskFolders":
        """As the keys of a command say: `data`, `images`, `masks`, `classes` and what the numbers mean."""
        keys = config.masks
        return cls(
            data=config.data,
            images=config.images,
            masks=keys.folder,
            pattern=keys.pattern if keys.suffix is None else f"{{stem}}{keys.suffix}",
            values=keys.values or (),
            classes=config.classes,
            ignore_index=config.ignore_index,
            reduce_zero_label=config.reduce_zero_label,
            on_error=getattr(config, "on_error", "stop"),
            part=getattr(config, "split", None),
        )

    @property
    def images_of_coco(self) -> Path | None:
        """The folder of images, inside of the data if it is there, else as it was given."""
        if self.images is None:
            return None
        inside = (self.data if self.data.is_dir() else self.data.parent) / self.images
        return inside if inside.is_dir() else self.images

    def read_classes(self) -> SegmentationClasses:
        """The classes; without names if no file has them.

        Raises:
            InputError: The file is wrong.
        """
        return find_classes(
            self.data,
            self.classes,
            ignore_index=self.ignore_index,
            reduce_zero_label=self.reduce_zero_label,
            values=self.values,
        )
