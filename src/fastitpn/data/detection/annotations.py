"""Images with boxes, and masks where there are any, as they are kept in memory."""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastitpn.data.detection.problems import Problem
from fastitpn.data.detection.stored_masks import run_lengths

Rle = dict[str, Any]
"""A mask as COCO's tools pack it: `size` [height, width], and `counts`, bytes."""


@dataclass(frozen=True, kw_only=True)
class DetectionClasses:
    """The classes of a file.

    Attributes:
        names: In the order of the labels, 0 first.
        ids: The category of each in the file.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """What is known of one image with n instances.

    Attributes:
        boxes: float32 [n, 4]: left, top, right, bottom in pixels of the upright image, within it.
        labels: int64 [n], from 0.
        masks: One for each, of the size of the image; None where masks were not asked for.
        crowd: bool [n]: a group of instances, which is no target and at which no detection is wrong.
        area: float32 [n], in pixels: what tells small instances from large ones.
        ids: int64 [n], in the file.
    """

    boxes: Tensor
    labels: Tensor
    masks: list[Rle] | None
    crowd: Tensor
    area: Tensor
    ids: Tensor

    def __len__(self) -> int:
        return len(self.labels)


class Annotation(NamedTuple):
    """One instance of an image, see `Annotations`; its mask as `store_mask` gives it."""

    id: int
    label: int
    box: tuple[float, float, float, float]
    area: float
    crowd: bool
    mask: bytes | None


class DetectionImages:
    """Images with their annotations.

    They are kept in a few blocks of memory, not in objects, since each process that loads images would copy objects.

    Args:
        file: The file or folder that they come from.
        classes: Names and ids that the labels stand for.
        paths: Files of the images.
        image_ids: Their ids in `file`.
        sizes: Their heights and widths, upright.
        annotations: The annotations of each image, in the order of the images.
        with_masks: Whether every annotation has a mask.
        problems: What was wrong in `file` and its images, all left out here.
        unusable: Images that are there, and are among `problems`.
        left_out: How many images and annotations of `file` are not here because of that.
        notes: Lines about what is not wrong and deserves a word.
        without_masks: Annotations that have no mask where others have; with masks they are crowds.

    Attributes:
        path: The file or folder.
        classes: Names and ids that the labels stand for.
        has_masks: Whether `annotations` gives masks.
        problems: What is wrong with the data.
        unusable: Images that cannot be used.
        left_out: How many images and how many annotations are left out.
        notes: Lines about what is not wrong and deserves a word.
        without_masks: Annotations that have no mask where others have; with masks they are crowds.
    """

    def __init__(
        self,
        file: Path,
        classes: DetectionClasses,
        paths: Sequence[Path],
        image_ids: Sequence[int],
        sizes: Sequence[tuple[int, int]],
        annotations: Sequence[Sequence[Annotation]],
        *,
        with_masks: bool,
        problems: Sequence[Problem] = (),
        unusable: Sequence[Path] = (),
        left_out: tuple[int, int] = (0, 0),
        notes: Sequence[str] = (),
        without_masks: Sequence[Problem] = (),
    ) -> None:
        flat = [annotation for of_image in annotations for annotation in of_image]
        self.path = file
        self.classes = classes
        self.has_masks = with_masks
        self.problems = tuple(problems)
        self.unusable = tuple(unusable)
        self.left_out = left_out
        self.notes = tuple(notes)
        self.without_masks = tuple(without_masks)
        self._names = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
        self._image_ids = np.array(image_ids, dtype=np.int64)
        self._sizes = np.array(sizes, dtype=np.int64).reshape(-1, 2)
        self._first = np.cumsum([0, *(len(of_image) for of_image in annotations)], dtype=np.int64)
        self._boxes = np.array([annotation.box for annotation in flat], dtype=np.float32).reshape(-1, 4)
        self._labels = np.array([annotation.label for annotation in flat], dtype=np.int64)
        self._crowd = np.array([annotation.crowd for annotation in flat], dtype=np.bool_)
        self._area = np.array([annotation.area for annotation in flat], dtype=np.float32)
        self._ids = np.array([annotation.id for annotation in flat], dtype=np.int64)
        masks = [annotation.mask or b"" for annotation in flat]
        self._mask_ends = np.cumsum([0, *(len(mask) for mask in masks)], dtype=np.int64)
        self._masks = np.frombuffer(b"".join(masks), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def paths(self) -> list[Path]:
        """Files of the images; a new list each time."""
        return [Path(os.fsdecode(name)) for name in self._names]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each image, upright; a new list each time."""
        return [(int(height), int(width)) for height, width in self._sizes]

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of one image, upright."""
        height, width = self._sizes[index].tolist()
        return height, width

    @property
    def num_annotations(self) -> int:
        """Number of annotations of all images."""
        return len(self._ids)

    @property
    def num_objects(self) -> list[int]:
        """Number of annotations of each image that are no crowds."""
        objects = np.cumsum([0, *~self._crowd])
        return [int(count) for count in objects[self._first[1:]] - objects[self._first[:-1]]]

    @property
    def labels(self) -> Tensor:
        """int64 [num_annotations], of all images one after the other."""
        return torch.from_numpy(self._labels.copy())

    def image_ids(self, index: int) -> int:
        """Id of an image in `path`."""
        return int(self._image_ids[index])

    def annotations(self, index: int) -> Annotations:
        """The annotations of one image."""
        first, last = int(self._first[index]), int(self._first[index + 1])
        height, width = (int(side) for side in self._sizes[index])
        masks = None
        if self.has_masks:
            ends = self._mask_ends[first : last + 1].tolist()
            masks = [
                {"size": [height, width], "counts": run_lengths(self._masks[start:end].tobytes(), height, width)}
                for start, end in pairwise(ends)
            ]
        return Annotations(
            boxes=torch.from_numpy(self._boxes[first:last].copy()),
            labels=torch.from_numpy(self._labels[first:last].copy()),
            masks=masks,
            crowd=torch.from_numpy(self._crowd[first:last].copy()),
            area=torch.from_numpy(self._area[first:last].copy()),
            ids=torch.from_numpy(self._ids[first:last].copy()),
        )

    def select(self, indices: Sequence[int]) -> "DetectionImages":
        """The images at these positions, with the same classes."""
        selected = copy.copy(self)
        places = np.asarray(indices, dtype=np.int64)
        first, last = self._first[places], self._first[places + 1]
        rows = _ranges(first, last)
        mask_sizes = np.diff(self._mask_ends)[rows]
        selected._names, selected._image_ids = self._names[places], self._image_ids[places]
        selected._sizes = self._sizes[places]
        selected._first = np.concatenate([[0], np.cumsum(last - first)])
        for name in ("_boxes", "_labels", "_crowd", "_area", "_ids"):
            setattr(selected, name, getattr(self, name)[rows])
        starts, ends = self._mask_ends[first].tolist(), self._mask_ends[last].tolist()
        of_images = [self._masks[start:end] for start, end in zip(starts, ends, strict=True)]
        selected._masks = np.concatenate([self._masks[:0], *of_images])
        selected._mask_ends = np.concatenate([[0], np.cumsum(mask_sizes)])
        return selected


def _ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """int64: all places from each first to before each last, one range after the other."""
    lengths = last - first
    starts = np.cumsum(lengths) - lengths
    return np.repeat(first - starts, lengths) + np.arange(lengths.sum(), dtype=np.int64)
