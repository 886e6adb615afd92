"""Finds images and their masks, in two folders of the same layout or in COCO's format, and splits them in two parts."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.images.folders import list_images
from fastitpn.data.segmentation.classes import SegmentationClasses, distinct_colors, find_classes
from fastitpn.data.segmentation.formats.coco import CocoLabels, coco_images, coco_split, is_coco
from fastitpn.data.segmentation.formats.panoptic import (
    PanopticImage,
    PanopticLabels,
    PanopticScan,
    check_names,
    find_panoptic,
    read_panoptic,
)
from fastitpn.data.segmentation.masks import Labels, MaskReader, check_pairs
from fastitpn.data.segmentation.panoptic_codes import Codes
from fastitpn.errors import InputError

LAYOUT = (
    "FOLDER/images and FOLDER/masks (or annotations), both with train and val inside or neither; "
    "images/a.jpg has masks/a.png; or masks of things in COCO's format, as for finetune detect"
)
_IMAGES, _MASKS = ("images",), ("masks", "annotations", "labels")
_PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation")}
T = TypeVar("T")
_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm")
"""Of masks, the most likely first; a JPEG is found too, to be refused."""


@dataclass(frozen=True, kw_only=True)
class MaskedImages:
    """Images with a mask each.

    Attributes:
        images: Files.
        masks: Files, one for each image; or annotations that make labels when asked for them.
        classes: With names.
    """

    images: list[Path]
    masks: list[Path] | Callable[[int], Labels]
    classes: SegmentationClasses

    def __len__(self) -> int:
        return len(self.images)

    def labels(self, index: int) -> Labels:
        """Labels uint8 [H, W] of an image."""
        return self.masks(index) if callable(self.masks) else MaskReader.of(self.classes)(self.masks[index])

    def codes(self, index: int) -> Codes:
        """Codes of the segments, int32 [H, W], of an image of a panoptic data set."""
        assert isinstance(self.masks, PanopticLabels)
        return self.masks.codes(index)


@dataclass(frozen=True, kw_only=True)
class MaskFolders:
    """Where the data of a command is, and how to read it.

    Attributes:
        data: Folder that holds the folders of images and masks, or file, see `LAYOUT`.
        images: The folder of images, relative to `data`; None finds it.
        masks: The folder of masks, likewise.
        classes: File with their names and colours; None finds it in `data`.
        ignore_index: Number in the masks of pixels to leave out; None takes the file's, else 255.
        reduce_zero_label: Number 0 is no class and 1 the first; None takes the file's, else false.
        on_error: Stop at pairs that cannot be used, or skip them.
        panoptic: Segments are wanted, and not classes of pixels alone.
    """

    data: Path
    images: Path | None = None
    masks: Path | None = None
    classes: Path | None = None
    ignore_index: int | None = None
    reduce_zero_label: bool | None = None
    on_error: Literal["stop", "skip"] = "stop"
    panoptic: bool = False

    @property
    def in_coco(self) -> bool:
        """Whether the data is in COCO's format."""
        return self.masks is None and is_coco(self.data)

    def find_panoptic(self, *parts: str) -> tuple[Path, Path] | None:
        """File and images of the first of some parts that COCO's panoptic annotations have; "" for a file's all."""
        if self.masks is not None:
            return None
        found = (find_panoptic(self.data, part or None, self.images_of_coco) for part in parts)
        return next((files for files in found if files is not None), None)

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
            self.data, self.classes, ignore_index=self.ignore_index, reduce_zero_label=self.reduce_zero_label
        )


def segmentation_split(
    folders: MaskFolders, val: Path | None = None, *, val_ratio: float = 0.1, seed: int = 0
) -> tuple[MaskedImages, MaskedImages]:
    """Training and validation images, every mask of which was checked.

    Args:
        folders: The data.
        val: Another folder of the same layout to validate on; None takes the `val` part of the data, else splits.
        val_ratio: Share of the images to hold out if neither is there, in (0, 1).
        seed: Which are held out.

    Raises:
        InputError: Folders, classes or files are wrong.
    """
    classes = folders.read_classes()
    if folders.find_panoptic("train", "") is not None:
        return _panoptic_split(folders, val, classes, val_ratio, seed)
    if folders.panoptic:
        raise _no_segments(folders.data)
    if folders.in_coco:
        train_images, val_images, classes = coco_split(
            folders.data,
            val,
            classes,
            images=folders.images_of_coco,
            val_ratio=val_ratio,
            seed=seed,
            on_error=folders.on_error,
        )
        return _of_coco(train_images, classes), _of_coco(val_images, classes)
    train = _find(folders, folders.data, "train")
    if val is None and _part(folders, folders.data, "val") is None:
        train, held_out = _hold_out(train, val_ratio, seed, folders.data)
    else:
        held_out = _find(folders, val or folders.data, "val")
    pairs = train + held_out
    kept, highest = _check(pairs, classes, folders.on_error)
    classes = _with_names(classes, highest, folders)
    result = []
    for name, first, last in (("train", 0, len(train)), ("validate", len(train), len(pairs))):
        part = [pairs[place] for place in kept if first <= place < last]
        if not part:
            raise InputError(f"no images are left to {name} on", where=folders.data, fix="correct the files above")
        result.append(_of(part, classes))
    return result[0], result[1]


def segmentation_images(folders: MaskFolders, classes: SegmentationClasses | None = None) -> MaskedImages:
    """Images to evaluate on, every mask of which was checked: the `val` part of the data, or all of it.

    Args:
        folders: The data.
        classes: Of the model. If the data has a file with names, they must be these; without one, the masks are
            numbered as those that the model was trained on, unless `folders` says otherwise.

    Raises:
        InputError: Folders, classes or files are wrong, or the data has other classes than the model.
    """
    own = folders.read_classes()
    if classes is not None:
        own = _as_trained(own, classes, folders)
    if (files := folders.find_panoptic("val", "")) is not None:
        found_segments = read_panoptic(*files, on_error=folders.on_error)
        return _of_panoptic(found_segments.images, _named(own, found_segments, folders))
    if own.panoptic or folders.panoptic:
        raise _no_segments(folders.data)
    if folders.in_coco:
        found, own = coco_images(folders.data, own, images=folders.images_of_coco, on_error=folders.on_error)
        return _of_coco(found, own)
    pairs = _find(folders, folders.data, "val")
    kept, highest = _check(pairs, own, folders.on_error)
    return _of([pairs[place] for place in kept], _with_names(own, highest, folders))


def masked_pairs(folders: MaskFolders, val: Path | None = None) -> dict[str, list[tuple[Path, Path | None]]]:
    """All images with their masks, unchecked, by part: train and val, or "" where there are no parts.

    Args:
        folders: The data.
        val: Another folder of the same layout, the part val.

    Raises:
        InputError: Folders are wrong.
    """
    train = _find(folders, folders.data, "train")
    if val is None and _part(folders, folders.data, "val") is None:
        return {"": train}
    return {"train": train, "val": _find(folders, val or folders.data, "val")}


def _of_coco(images: DetectionImages, classes: SegmentationClasses) -> MaskedImages:
    return MaskedImages(images=images.paths, masks=CocoLabels(images, classes.names), classes=classes)


def _of_panoptic(images: list[PanopticImage], classes: SegmentationClasses) -> MaskedImages:
    if not images:
        raise InputError("no images are left", expected="images with segments", fix="correct the files above")
    check_names(images, classes.names)
    masks = PanopticLabels(images, classes.names, classes.things or ())
    return MaskedImages(images=[image.path for image in images], masks=masks, classes=classes)


def _named(classes: SegmentationClasses, found: PanopticScan, folders: MaskFolders) -> SegmentationClasses:
    """The classes with the names of a file, if they have none, and its things, if segments are wanted."""
    if not classes.names:
        classes = replace(classes, names=found.names, colors=distinct_colors(found.names))
    if folders.panoptic and not classes.panoptic:
        classes = replace(classes, things=tuple(name for name in classes.names if name in found.things))
    return classes


def _no_segments(data: Path) -> InputError:
    return InputError(
        "there are no panoptic annotations in this data",
        where=data,
        expected="panoptic_train2017.json as COCO has it, with its PNGs, or such a file",
        fix="finetune segment without panoptic=true for classes of pixels; finetune detect for things alone",
    )


def _panoptic_split(
    folders: MaskFolders, val: Path | None, classes: SegmentationClasses, val_ratio: float, seed: int
) -> tuple[MaskedImages, MaskedImages]:
    files = folders.find_panoptic("train", "")
    assert files is not None
    found = read_panoptic(*files, on_error=folders.on_error)
    train, classes = found.images, _named(classes, found, folders)
    other = replace(folders, data=val or folders.data)
    val_files = other.find_panoptic("val") if val is None else other.find_panoptic("val", "")
    if val_files is not None:
        held_out = read_panoptic(*val_files, on_error=folders.on_error).images
    elif val is None:
        train, held_out = _hold_out(train, val_ratio, seed, folders.data)
    else:
        raise InputError("no panoptic annotations in the validation data", where=val, expected=LAYOUT)
    return _of_panoptic(train, classes), _of_panoptic(held_out, classes)


_Pair = tuple[Path, Path | None]


def _of(pairs: Sequence[_Pair], classes: SegmentationClasses) -> MaskedImages:
    masks = [mask for _, mask in pairs if mask is not None]
    return MaskedImages(images=[image for image, _ in pairs], masks=masks, classes=classes)


def _check(
    pairs: Sequence[_Pair], classes: SegmentationClasses, on_error: Literal["stop", "skip"]
) -> tuple[list[int], int]:
    images, masks = [image for image, _ in pairs], [mask for _, mask in pairs]
    return check_pairs(images, masks, MaskReader.of(classes), on_error=on_error)


def _with_names(classes: SegmentationClasses, highest: int, folders: MaskFolders) -> SegmentationClasses:
    if not classes.names and highest < 1:
        raise InputError(
            "the masks hold fewer than two classes",
            where=folders.data,
            expected="at least two different numbers",
            fix="name the classes in classes.yaml, or correct ignore_index and reduce_zero_label",
        )
    return classes.numbered(highest + 1)


def _as_trained(own: SegmentationClasses, trained: SegmentationClasses, folders: MaskFolders) -> SegmentationClasses:
    if own.names and own.names != trained.names:
        pairs = zip(own.names, trained.names, strict=False)
        differ = next((f"{a!r} here, {b!r} there" for a, b in pairs if a != b), "the others are the same")
        raise InputError(
            f"the data has {len(own.names)} classes and the model {len(trained.names)}: {differ}",
            where=folders.data,
            expected=f"the classes of the model: {', '.join(trained.names[:10])}{', ...' * (len(trained.names) > 10)}",
            fix="classes=FILE with these names, in this order",
        )
    ignore, reduce = folders.ignore_index, folders.reduce_zero_label
    numbering = own if own.names else trained
    return replace(
        trained,
        ignore_index=numbering.ignore_index if ignore is None else ignore,
        reduce_zero_label=numbering.reduce_zero_label if reduce is None else reduce,
    )


def _find(folders: MaskFolders, data: Path, part: str) -> list[_Pair]:
    """Images of a part, or all if there are no parts, each with its mask."""
    found = _part(folders, data, part)
    images, masks = found or (_root(data, folders.images, _IMAGES), _root(data, folders.masks, _MASKS))
    by_name: dict[str, Path] = {}
    for mask in list_images(masks):
        key = str(mask.relative_to(masks).with_suffix(""))
        if key not in by_name or _rank(mask) < _rank(by_name[key]):
            by_name[key] = mask
    pairs = [(image, by_name.get(str(image.relative_to(images).with_suffix("")))) for image in list_images(images)]
    if not any(mask for _, mask in pairs):
        raise InputError(
            f"none of the {len(pairs)} images has a mask: the first is {pairs[0][0].name}, "
            f"the first mask {next(iter(by_name.values())).name}",
            where=masks,
            expected=f"files of the same names; {LAYOUT}",
            fix="rename the masks as their images, or masks=FOLDER",
        )
    return pairs


def _part(folders: MaskFolders, data: Path, part: str) -> tuple[Path, Path] | None:
    """The folders of images and masks of a part, if the images have it."""
    images, masks = _root(data, folders.images, _IMAGES), _root(data, folders.masks, _MASKS)
    inside = next((images / name for name in _PARTS[part] if (images / name).is_dir()), None)
    if inside is None:
        return None
    of_masks = next((masks / name for name in _PARTS[part] if (masks / name).is_dir()), None)
    if of_masks is None:
        raise InputError(
            f"the images have a folder {inside.name!r}, the masks have none",
            where=masks,
            expected=LAYOUT,
            fix=f"name the folder of their masks {masks / inside.name}",
        )
    return inside, of_masks


def _root(data: Path, given: Path | None, names: Sequence[str]) -> Path:
    if given is not None:
        return data / given
    found = next((data / name for name in names if (data / name).is_dir()), None)
    if found is not None:
        return found
    if not data.is_dir():
        list_images(data)  # says what is wrong with it
    inside = sorted(entry.name for entry in os.scandir(data) if entry.is_dir() and not entry.name.startswith("."))
    raise InputError(
        f"no folder {' or '.join(names)} in this folder, which has {', '.join(inside[:10]) or 'no folders'}",
        where=data,
        expected=LAYOUT,
        fix=f"{names[0]}=FOLDER inside of it",
    )


def _rank(mask: Path) -> int:
    suffix = mask.suffix.lower()
    return _SUFFIXES.index(suffix) if suffix in _SUFFIXES else len(_SUFFIXES)


def _hold_out(pairs: list[T], ratio: float, seed: int, data: Path) -> tuple[list[T], list[T]]:
    if len(pairs) < 2:
        raise InputError(
            "there is only one image, so none can be held out for validation",
            where=data,
            expected="at least two images",
            fix="add images, or give validation images: val=FOLDER",
        )
    count = min(max(1, round(ratio * len(pairs))), len(pairs) - 1)
    chosen = set(np.random.default_rng([seed, len(pairs)]).permutation(len(pairs))[:count].tolist())
    return (
        [pair for place, pair in enumerate(pairs) if place not in chosen],
        [pair for place, pair in enumerate(pairs) if place in chosen],
    )
