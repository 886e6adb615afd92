"""COCO's panoptic annotations: things and stuff as segments, in PNGs beside JSON."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fastitpn.data.detection.formats.coco import find_coco
from fastitpn.data.detection.problems import Problem, stop_or_say
from fastitpn.data.fold import HeldOut
from fastitpn.data.parts import PARTS, choose_part, say_of_held_out
from fastitpn.data.segmentation.classes import SegmentationClasses, distinct_colors
from fastitpn.data.segmentation.formats.base import MaskFormat, UncheckedPart
from fastitpn.data.segmentation.masked_images import MaskedImages, MaskFolders
from fastitpn.data.segmentation.panoptic_labels import EXPECTED, PanopticImage, PanopticLabels
from fastitpn.data.segmentation.panoptic_scan import PanopticScan, scan_panoptic
from fastitpn.data.splitting import hold_out, train_and_val
from fastitpn.errors import InputError
from fastitpn.listing import matching

LAYOUT = (
    "FOLDER/annotations/panoptic_train2017.json and panoptic_val2017.json, PNGs in folders of these names, images in "
    "FOLDER/train2017 and val2017; or such a JSON file"
)

_Files = tuple[Path, Path]
"""A file of annotations, and the folder of its images."""


def find_panoptic(data: Path, part: str | None, images: Path | None = None) -> _Files | None:
    """The file of a part, and the folder of its images.

    Args:
        data: A file, which has no parts; or a folder with `panoptic_train2017.json` and `panoptic_val2017.json`, or
            these in `annotations`, and the images in `train2017` and `val2017`, here or in `images`.
        part: "train" or "val"; None for a file given as such.
        images: Folder of the images; None finds it.

    Returns:
        None if the data has no such part.
    """
    if data.is_file():
        if part is not None or not _is_panoptic(data):
            return None
        file, root = data, data.parent.parent if data.parent.name == "annotations" else data.parent
    else:
        inside = (*matching(data, "panoptic_*.json"), *matching(data, "annotations/panoptic_*.json"))
        files = [path for path in inside if part is not None and path.stem.startswith(f"panoptic_{part}")]
        if not files:
            return None
        file, root = files[0], data
    name = file.stem.removeprefix("panoptic_")
    folders = (root / name, root / "images" / name, root / "images")
    return file, images or next((folder for folder in folders if folder.is_dir()), root)


def _is_panoptic(file: Path) -> bool:
    try:
        return file.name.startswith("panoptic") or '"segments_info"' in file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False


def _find(folders: MaskFolders, name: str) -> _Files | None:
    """The files of a part; of "" those of a file given as such."""
    if folders.masks is not None:
        return None
    return find_panoptic(folders.data, name or None, folders.images_of_coco)


def _recognise(folders: MaskFolders, part: str) -> bool:
    return any(_find(folders, name) for name in (part, ""))


def _claims(folders: MaskFolders) -> bool:
    """Whether there are no annotations of single objects for the same parts."""
    if not any(_recognise(folders, part) for part in ("train", "val")):
        return False
    return folders.data.is_file() or not any(find_coco(folders.data, part) for part in ("train", "val"))


def _split(
    folders: MaskFolders, classes: SegmentationClasses, val: Path | None, *, val_ratio: HeldOut, seed: int
) -> tuple[MaskedImages, MaskedImages]:
    files = _find(folders, "train") or _find(folders, "")
    assert files is not None
    scan = _read(files, folders)
    train, classes = scan.images, _named(classes, scan, folders)
    val_folders = folders if val is None else replace(folders, data=val)
    val_files = _find(val_folders, "val") or (_find(val_folders, "") if val else None)
    if val_files is not None:
        held_out = _read(val_files, folders).images
    elif val is None:
        say_of_held_out(["train"] if _find(folders, "train") else [], val_ratio)
        fix = "add images, or give validation images: val=FOLDER"
        places = hold_out(len(train), val_ratio, seed, where=folders.data, fix=fix)
        train, held_out = ([scan.images[place] for place in of_part] for of_part in places)
    else:
        raise InputError("no panoptic annotations in the validation data", where=val, expected=LAYOUT)
    return _masked(train, classes), _masked(held_out, classes)


def _images(folders: MaskFolders, classes: SegmentationClasses) -> MaskedImages:
    parts = {part: files for part in (*PARTS, "") if (files := _find(folders, part)) is not None}
    files = choose_part(parts, folders.part, where=folders.data)
    scan = _read(files, folders)
    return _masked(scan.images, _named(classes, scan, folders))


def _parts(
    folders: MaskFolders, classes: SegmentationClasses, val: Path | None
) -> tuple[dict[str, UncheckedPart], SegmentationClasses]:
    find_in_val = None if val is None else partial(_find, replace(folders, data=val))
    files = train_and_val(partial(_find, folders), find_in_val)
    scans = {part: scan_panoptic(*of_part) for part, of_part in files.items()}
    names = classes.names or next(iter(scans.values())).names
    parts = {}
    for part, scan in scans.items():
        problems = list(scan.problems)
        if unknown := sorted(set(scan.names) - set(names)):
            what = f"categories that are none of the classes: {', '.join(unknown)}"
            problems.append(Problem(kind="other classes", what=what, file=files[part][0]))
        parts[part] = UncheckedPart(
            images=[image.path for image in scan.images],
            labels=PanopticLabels(scan.images, names),
            masks=[image.png for image in scan.images],
            problems=problems,
            facts=_facts(scan),
            unusable=scan.left_out,
        )
    return parts, replace(classes, names=names)


def _facts(scan: PanopticScan) -> dict[str, object]:
    crowds = sum(len(image.crowds) for image in scan.images)
    names = [name for image in scan.images for number, name in image.names.items() if number not in image.crowds]
    things = sum(name in scan.things for name in names)
    return {
        "things": things,
        "segments of stuff": len(names) - things,
        "crowds": crowds,
        "classes of things": ", ".join(scan.things) or "none",
        "images without segments": scan.without_segments,
    }


def _read(files: _Files, folders: MaskFolders) -> PanopticScan:
    scan = scan_panoptic(*files)
    stop_or_say(scan.problems, folders.on_error, EXPECTED)
    return scan


def _named(classes: SegmentationClasses, scan: PanopticScan, folders: MaskFolders) -> SegmentationClasses:
    """The classes with the names of a file, if they have none, and its things, if segments are wanted."""
    if not classes.names:
        classes = replace(classes, names=scan.names, colors=distinct_colors(scan.names))
    if folders.panoptic and not classes.panoptic:
        classes = replace(classes, things=tuple(name for name in classes.names if name in scan.things))
    return classes


def _masked(images: list[PanopticImage], classes: SegmentationClasses) -> MaskedImages:
    if not images:
        raise InputError("no images are left", expected="images with segments", fix="correct the files above")
    _check_names(images, classes.names)
    masks = PanopticLabels(images, classes.names, classes.things or ())
    return MaskedImages(images=[image.path for image in images], masks=masks, classes=classes)


def _check_names(images: Sequence[PanopticImage], names: Sequence[str]) -> None:
    """Raises if segments are of other classes."""
    used = {name for image in images for number, name in image.names.items() if number not in image.crowds}
    if unknown := sorted(used - set(names)):
        raise InputError(
            f"categories that are none of the classes: {', '.join(unknown[:10])}",
            where=images[0].png.parent,
            expected=f"some of {', '.join(names[:20])}",
            fix="rename the categories, or classes=FILE with all names",
        )


FORMAT = MaskFormat(
    title="COCO panoptic",
    layout=LAYOUT,
    recognise=_recognise,
    claims=_claims,
    split=_split,
    images=_images,
    parts=_parts,
    panoptic=True,
)
