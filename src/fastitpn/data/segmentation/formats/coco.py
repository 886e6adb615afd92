"""COCO's annotations as labels of pixels: of each object its class, of what lies in none the background."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.detection.formats.coco import find_coco
from fastitpn.data.detection.formats.registry import open_annotations, recognise
from fastitpn.data.detection.images import detection_images, detection_split
from fastitpn.data.detection.problems import Problem
from fastitpn.data.detection.reading import FOR_BOXES, scan
from fastitpn.data.fold import HeldOut
from fastitpn.data.segmentation.classes import IGNORE, MOST_CLASSES, SegmentationClasses, distinct_colors
from fastitpn.data.segmentation.formats.base import MaskFormat, UncheckedPart
from fastitpn.data.segmentation.masked_images import MaskedImages, MaskFolders
from fastitpn.data.segmentation.masks import Labels
from fastitpn.data.splitting import train_and_val
from fastitpn.errors import InputError
from fastitpn.listing import walk

BACKGROUND = "background"
"""The class of pixels in no object; where the classes have none of this name, such pixels are left out."""
_WITH_OUTLINES = ("labelme", "label_studio", "cvat", "yolo")
"""Formats of objects that may have outlines."""
_FOLDERS_OF_MASKS = ("masks", "annotations", "labels")


class CocoLabels:
    """Labels of the pixels of images with masks of objects.

    Where masks overlap the smaller one is on top. Crowds, of which it is not known who is where, are left out, but for
    the objects in them that have a mask of their own.

    Args:
        images: Images with packed masks of objects.
        names: Names of the classes, in the order of their labels; those of the images are among them.
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
        annotations = self._images.annotations(index)
        labels = np.full(self._images.size(index), self._background, dtype=np.uint8)
        masks = annotations.masks or []
        crowd = annotations.crowd.tolist()
        by_area = sorted(range(len(masks)), key=lambda place: (not crowd[place], -int(coco_mask.area(masks[place]))))
        for place in by_area:  # crowds first, then from the largest to the smallest
            label = IGNORE if crowd[place] else self._label_of[annotations.labels[place]]
            labels[coco_mask.decode(masks[place]).astype(bool)] = label
        return labels


def is_coco(data: Path) -> bool:
    """Whether data for segmentation has outlines of objects and no masks: a file, or a folder of COCO's or others'."""
    if data.is_file():
        return True
    folders = (data / name for name in _FOLDERS_OF_MASKS)
    if any(name.lower().endswith(".png") for folder in folders for _, _, names in walk(folder) for name in names):
        return False
    if recognise(data) in _WITH_OUTLINES:
        return True
    return data.is_dir() and any(find_coco(data, part) is not None for part in ("train", "val", None))


def _split(
    folders: MaskFolders, classes: SegmentationClasses, val: Path | None, *, val_ratio: HeldOut, seed: int
) -> tuple[MaskedImages, MaskedImages]:
    train, held_out = detection_split(
        folders.data,
        val,
        images=folders.images_of_coco,
        val_ratio=val_ratio,
        seed=seed,
        on_error=folders.on_error,
        with_masks=None,
    )
    classes = _with_background(train, classes)
    return _masked(train, classes), _masked(held_out, classes)


def _images(folders: MaskFolders, classes: SegmentationClasses) -> MaskedImages:
    annotated = detection_images(
        folders.data, images=folders.images_of_coco, on_error=folders.on_error, with_masks=None
    )
    return _masked(annotated, _with_background(annotated, classes))


def _parts(
    folders: MaskFolders, classes: SegmentationClasses, val: Path | None
) -> tuple[dict[str, UncheckedPart], SegmentationClasses]:
    images = folders.images_of_coco
    find_in_val = None if val is None else open_annotations(val, images).find
    annotations_of = train_and_val(open_annotations(folders.data, images).find, find_in_val)
    scans = {part: scan(annotations, with_masks=True) for part, annotations in annotations_of.items()}
    listed = next(iter(scans.values())).classes.names
    names = classes.names or (BACKGROUND, *(name for name in listed if name != BACKGROUND))
    names = names[int(classes.reduce_zero_label and not classes.names) :]
    parts = {}
    for part, annotated in scans.items():
        problems = list(annotated.problems)
        if unknown := sorted(set(annotated.classes.names) - {*names, BACKGROUND}):
            what = f"categories that are none of the classes: {', '.join(unknown)}"
            problems.append(Problem(kind="other classes", what=what, file=annotated.path))
        parts[part] = UncheckedPart(
            images=annotated.paths,
            labels=CocoLabels(annotated, names),
            masks=[None] * len(annotated),
            problems=problems,
            facts=_facts(annotated),
            unusable=annotated.unusable,
        )
    return parts, replace(classes, names=names)


def _facts(images: DetectionImages) -> dict[str, object]:
    of_images = [images.annotations(index) for index in range(len(images))]
    return {
        "masks": sum(len(annotations) for annotations in of_images),
        "crowds": sum(int(annotations.crowd.sum()) for annotations in of_images),
        "images without masks": sum(not len(annotations) for annotations in of_images),
    }


def _with_background(images: DetectionImages, given: SegmentationClasses) -> SegmentationClasses:
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


def _masked(images: DetectionImages, classes: SegmentationClasses) -> MaskedImages:
    if not images.has_masks:
        raise InputError(
            f"no annotation of this file has a mask, only boxes ({images.num_annotations} of them)",
            where=images.path,
            expected="a segmentation in every annotation",
            fix=FOR_BOXES,
        )
    used = [images.classes.names[label] for label in images.labels.unique().tolist()]
    if unknown := [name for name in used if name not in (*classes.names, BACKGROUND)]:
        raise InputError(
            f"categories that are none of the classes: {', '.join(unknown[:10])}",
            where=images.path,
            expected=f"some of {', '.join(classes.names[:20])}",
            fix="rename the categories, or classes=FILE with all names",
        )
    return MaskedImages(images=images.paths, masks=CocoLabels(images, classes.names), classes=classes)


FORMAT = MaskFormat(
    title="COCO masks",
    layout="masks or outlines of objects in COCO's, YOLO's, LabelMe's, Label Studio's or CVAT's format, in the layouts "
    "of finetune detect",
    recognise=lambda folders, part: folders.masks is None and is_coco(folders.data),
    claims=lambda folders: False,
    split=_split,
    images=_images,
    parts=_parts,
)
