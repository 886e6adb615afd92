"""Masks as pictures: a folder of images and one of masks with the same names."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fastitpn.data.detection.formats.coco import has_coco_annotations
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.folders import list_files, list_images
from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.formats.base import MaskFormat, UncheckedPart
from fastitpn.data.segmentation.masked_images import MaskedImages, MaskFolders
from fastitpn.data.segmentation.masks import Labels, MaskReader, check_pairs, read_pair
from fastitpn.data.splitting import hold_out
from fastitpn.errors import InputError

LAYOUT = (
    "FOLDER/images and FOLDER/masks (or annotations), both with train and val inside or neither; "
    "images/a.jpg has masks/a.png"
)
_EXPECTED = f"{LAYOUT}; or masks of things in COCO's format, as for finetune detect"
_IMAGES, _MASKS = ("images",), ("masks", "annotations", "labels")
_PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation")}
_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm")
"""Suffixes of masks, the most likely first; a JPEG is found too, to be refused."""

_Pair = tuple[Path, Path | None]


def _recognise(folders: MaskFolders, part: str) -> bool:
    """Whether both folders are there; the same for each part."""
    given = ((folders.images, _IMAGES), (folders.masks, _MASKS))
    return all(_existing(folders.data, name, names) for name, names in given)


def _claims(folders: MaskFolders) -> bool:
    """Whether masks are where they are said to be, or are found; boxes beside them in COCO's files count more."""
    if folders.data.is_file() or has_coco_annotations(folders.data):
        return False
    there = any((folders.data / name).is_dir() for name in _IMAGES)
    return folders.masks is not None or (there and any(_has_images(folders.data / name) for name in _MASKS))


def _split(
    folders: MaskFolders, classes: SegmentationClasses, val: Path | None, *, val_ratio: float, seed: int
) -> tuple[MaskedImages, MaskedImages]:
    train = _find(folders, folders.data, "train")
    if val is None and _part(folders, folders.data, "val") is None:
        fix = "add images, or give validation images: val=FOLDER"
        places = hold_out(len(train), val_ratio, seed, where=folders.data, fix=fix)
        train, held_out = ([train[place] for place in of_part] for of_part in places)
    else:
        held_out = _find(folders, val or folders.data, "val")
    pairs = train + held_out
    kept, classes = _check(pairs, classes, folders)
    parts = []
    for name, first, last in (("train", 0, len(train)), ("validate", len(train), len(pairs))):
        part = [pairs[place] for place in kept if first <= place < last]
        if not part:
            raise InputError(f"no images are left to {name} on", where=folders.data, fix="correct the files above")
        parts.append(_masked(part, classes))
    return parts[0], parts[1]


def _images(folders: MaskFolders, classes: SegmentationClasses) -> MaskedImages:
    pairs = _find(folders, folders.data, "val")
    kept, classes = _check(pairs, classes, folders)
    return _masked([pairs[place] for place in kept], classes)


def _parts(
    folders: MaskFolders, classes: SegmentationClasses, val: Path | None
) -> tuple[dict[str, UncheckedPart], SegmentationClasses]:
    pairs_of = {"train": _find(folders, folders.data, "train")}
    if val is None and _part(folders, folders.data, "val") is None:
        pairs_of = {"": pairs_of["train"]}
    else:
        pairs_of["val"] = _find(folders, val or folders.data, "val")
    reader = MaskReader.of(classes)
    parts = {
        name: UncheckedPart(
            images=[image for image, _ in pairs],
            labels=partial(_read, pairs, reader),
            masks=[mask for _, mask in pairs],
        )
        for name, pairs in pairs_of.items()
    }
    return parts, classes


def _read(pairs: Sequence[_Pair], reader: MaskReader, index: int) -> Labels:
    return read_pair(*pairs[index], reader)


def _masked(pairs: Sequence[_Pair], classes: SegmentationClasses) -> MaskedImages:
    masks = [mask for _, mask in pairs if mask is not None]
    return MaskedImages(images=[image for image, _ in pairs], masks=masks, classes=classes)


def _check(
    pairs: Sequence[_Pair], classes: SegmentationClasses, folders: MaskFolders
) -> tuple[list[int], SegmentationClasses]:
    """Places of the pairs to use, and the classes, which get numbers for names if they have none."""
    images, masks = [image for image, _ in pairs], [mask for _, mask in pairs]
    kept, highest = check_pairs(images, masks, MaskReader.of(classes), on_error=folders.on_error)
    if not classes.names and highest < 1:
        raise InputError(
            "the masks hold fewer than two classes",
            where=folders.data,
            expected="at least two different numbers",
            fix="name the classes in classes.yaml, or correct ignore_index and reduce_zero_label",
        )
    return kept, classes.numbered(highest + 1)


def _find(folders: MaskFolders, data: Path, part: str) -> list[_Pair]:
    """Images of a part, or all if there are no parts, each with its mask."""
    of_part = _part(folders, data, part)
    images, masks = of_part or (_root(data, folders.images, _IMAGES), _root(data, folders.masks, _MASKS))
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
            expected=f"files of the same names; {_EXPECTED}",
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
            expected=_EXPECTED,
            fix=f"name the folder of their masks {masks / inside.name}",
        )
    return inside, of_masks


def _root(data: Path, given: Path | None, names: Sequence[str]) -> Path:
    if given is not None:
        return data / given
    if (folder := _existing(data, None, names)) is not None:
        return folder
    if not data.is_dir():
        list_images(data)  # says what is wrong with it
    inside = sorted(entry.name for entry in os.scandir(data) if entry.is_dir() and not entry.name.startswith("."))
    raise InputError(
        f"no folder {' or '.join(names)} in this folder, which has {', '.join(inside[:10]) or 'no folders'}",
        where=data,
        expected=_EXPECTED,
        fix=f"{names[0]}=FOLDER inside of it",
    )


def _existing(data: Path, given: Path | None, names: Sequence[str]) -> Path | None:
    return next((data / name for name in ([given] if given else names) if (data / name).is_dir()), None)


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and bool(list_files(folder, EXTENSIONS))


def _rank(mask: Path) -> int:
    suffix = mask.suffix.lower()
    return _SUFFIXES.index(suffix) if suffix in _SUFFIXES else len(_SUFFIXES)


FORMAT = MaskFormat(
    title="images with masks",
    layout=LAYOUT,
    recognise=_recognise,
    claims=_claims,
    split=_split,
    images=_images,
    parts=_parts,
)
