"""COCO's annotations as labels of pixels: of each thing its class, of what lies in no thing the background."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from fastitpn.data.detection.images import DetectionImages, OnError, detection_images, detection_split, find_coco
from fastitpn.data.segmentation.classes import IGNORE, MOST_CLASSES, SegmentationClasses, distinct_colors
from fastitpn.data.segmentation.masks import Labels
from fastitpn.errors import InputError

BACKGROUND = "background"
"""The class of pixels in no thing; where the classes have none of this name, such pixels are left out."""
_FOLDERS_OF_MASKS = ("masks", "annotations", "labels")


class CocoLabels:
    """Labels of the pixels of images with masks of things.

    Where masks overlap the smaller one is on top. Crowds, of which it is not known who is where, are left out, but for
    the things in them that have a mask of their own.

    Args:
        images: With masks.
        names: Of the classes, which those of the images are among.
    """

    def __init__(self, images: DetectionImages, names: Sequence[str]) -> None:
        self._images = images
        label_of = {name: label for label, name in enumerate(names)}
        self._label_of = np.array([label_of.get(name, IGNORE) for name in images.classes.names], dtype=np.uint8)
        self._background = label_of.get(BACKGROUND, IGNORE)

    def __len__(self) -> int:
        return len(self._images)

    def __call__(self, index: int) -> Labels:
        """Labels uint8 [H, W] of an image."""
        things = self._images.annotations(index)
        labels = np.full(self._images.size(index), self._background, dtype=np.uint8)
        masks = things.masks or []
        crowd = things.crowd.tolist()
        by_area = sorted(range(len(masks)), key=lambda place: (not crowd[place], -int(coco_mask.area(masks[place]))))
        for place in by_area:  # crowds first, then from the largest to the smallest
            label = IGNORE if crowd[place] else self._label_of[things.labels[place]]
            labels[coco_mask.decode(masks[place]).astype(bool)] = label
        return labels


def is_coco(data: Path) -> bool:
    """Whether data for segmentation is in COCO's format: a JSON file, or a folder that has some and no masks."""
    if data.is_file():
        return True
    folders = (data / name for name in _FOLDERS_OF_MASKS)
    if any(next(folder.rglob("*.[pP][nN][gG]"), None) for folder in folders if folder.is_dir()):
        return False
    return data.is_dir() and any(find_coco(data, part) is not None for part in ("train", "val", None))


def coco_split(
    data: Path,
    val: Path | None,
    given: SegmentationClasses,
    *,
    images: Path | None,
    val_ratio: float,
    seed: int,
    on_error: OnError,
) -> tuple[DetectionImages, DetectionImages, SegmentationClasses]:
    """Training and validation images as `detection_split` finds them, and the classes.

    Args:
        data: File or folder.
        val: Another, or None.
        given: Classes; without names they are those of the file, after the background, which `reduce_zero_label`
            leaves out.
        images: Folder of the images; None finds it.
        val_ratio: As in `detection_split`.
        seed: As in `detection_split`.
        on_error: As in `detection_split`.

    Raises:
        InputError: Files are wrong, there are no masks, or the classes are others.
    """
    train, held_out = detection_split(
        data, val, images=images, val_ratio=val_ratio, seed=seed, on_error=on_error, with_masks=None
    )
    classes = _classes(train, given)
    for part in (train, held_out):
        _check(part, classes)
    return train, held_out, classes


def coco_images(
    data: Path, given: SegmentationClasses, *, images: Path | None, on_error: OnError
) -> tuple[DetectionImages, SegmentationClasses]:
    """Images to evaluate on, as `detection_images` finds them, of classes that are among those `given`; and these.

    Raises:
        InputError: As `coco_split`.
    """
    found = detection_images(data, images=images, on_error=on_error, with_masks=None)
    classes = _classes(found, given)
    _check(found, classes)
    return found, classes


def _classes(images: DetectionImages, given: SegmentationClasses) -> SegmentationClasses:
    if given.names:
        return given
    names = tuple(name for name in images.classes.names if name != BACKGROUND)
    if not given.reduce_zero_label:
        names = (BACKGROUND, *names)
    if not 2 <= len(names) <= MOST_CLASSES:
        raise InputError(
            f"{len(names)} classes of pixels", where=images.path, expected=f"2 to {MOST_CLASSES}", fix="see categories"
        )
    return replace(given, names=names, colors=distinct_colors(names))


def _check(images: DetectionImages, classes: SegmentationClasses) -> None:
    if not images.has_masks:
        raise InputError(
            "no annotation of this file has a mask, only boxes",
            where=images.path,
            expected="a segmentation in every annotation",
            fix="finetune detect detector=faster_rcnn, which needs boxes alone",
        )
    used = [images.classes.names[label] for label in images.labels.unique().tolist()]
    if unknown := [name for name in used if name not in (*classes.names, BACKGROUND)]:
        raise InputError(
            f"categories that are none of the classes: {', '.join(unknown[:10])}",
            where=images.path,
            expected=f"some of {', '.join(classes.names[:20])}",
            fix="rename the categories, or classes=FILE with all names",
        )
