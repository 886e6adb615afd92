"""Finds COCO annotations and their images in the layouts of common tools, and splits them into two parts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from fastitpn.data.detection.annotations import Annotation, Annotations, DetectionClasses, DetectionImages, Rle
from fastitpn.data.detection.formats.coco import read_coco, scan_coco
from fastitpn.data.detection.problems import OnError, Problem, stop_or_say
from fastitpn.errors import InputError

__all__ = [
    "LAYOUT",
    "Annotation",
    "Annotations",
    "DetectionClasses",
    "DetectionImages",
    "OnError",
    "Problem",
    "Rle",
    "detection_images",
    "detection_split",
    "find_coco",
    "left_out_of",
    "read_coco",
    "scan_coco",
]

LAYOUT = (
    "a JSON file in COCO's format, or a folder of one of these: train/, val/, annotations_train.json and "
    "annotations_val.json; train2017/, val2017/ and annotations/instances_train2017.json ...; "
    "train/_annotations.coco.json and valid/_annotations.coco.json; images/ and one JSON file"
)
_FIX = "data=FILE.json val=FILE.json images=FOLDER, or fastitpn data convert for Pascal VOC and YOLO"
_PARTS = {"train": r"train(?:ing)?(?:\d{4})?", "val": r"val(?:id(?:ation)?)?(?:\d{4})?"}
_PREFIX = r"(?:annotations_|instances_)?"
_FOLDERS_OF_JSON = (".", "annotations")

_Pair = tuple[Path, Path]
"""A file of annotations, and the folder of its images."""


def detection_split(
    data: Path,
    val: Path | None = None,
    *,
    images: Path | None = None,
    val_ratio: float = 0.1,
    seed: int = 0,
    on_error: OnError = "stop",
    with_masks: bool | None = None,
) -> tuple[DetectionImages, DetectionImages]:
    """Training and validation images, every one of which was decoded and every annotation checked.

    Args:
        data: A file or folder, see `LAYOUT`.
        val: Another, to validate on; None takes the `val` part of the data, else splits it.
        images: Folder that the file names in `data` and `val` begin at; None finds it.
        val_ratio: Share of the images to hold out if there is no other validation data, in (0, 1).
        seed: Which are held out.
        on_error: As in `read_coco`.
        with_masks: As in `read_coco`, for each part.

    Returns:
        Both parts with the labels of the first.

    Raises:
        InputError: Nothing that fits is there, or what is there is wrong.
    """
    train_pair = find_coco(data, "train", images) or find_coco(data, None, images) or _nothing(data)
    val_pair = find_coco(data if val is None else val, "val", images)
    if val is not None:
        val_pair = val_pair or find_coco(val, None, images) or _nothing(val)
    train = scan_coco(*train_pair, with_masks=with_masks)
    if val_pair is None:
        stop_or_say(train.problems, on_error, left_out=train.left_out)
        return _hold_out(_not_empty(train), val_ratio, seed)
    held_out = scan_coco(*val_pair, with_masks=with_masks, classes=train.classes)
    problems, left_out = left_out_of(train, held_out)
    stop_or_say(problems, on_error, left_out=left_out)
    return _not_empty(train), _not_empty(held_out)


def left_out_of(*parts: DetectionImages) -> tuple[list[Problem], tuple[int, int]]:
    """What is wrong in parts of the data, and how many images and annotations are not used because of that.

    Args:
        parts: Those of one file have the same problems, which are counted once.
    """
    of_files = {part.path: part for part in parts}.values()
    images, annotations = (sum(part.left_out[place] for part in of_files) for place in (0, 1))
    return [problem for part in of_files for problem in part.problems], (images, annotations)


def detection_images(
    data: Path,
    *,
    images: Path | None = None,
    classes: DetectionClasses | None = None,
    on_error: OnError = "stop",
    with_masks: bool | None = None,
) -> DetectionImages:
    """Images to evaluate on: the `val` part of the data, or all of it.

    Args:
        data: A file or folder, see `LAYOUT`.
        images: As in `detection_split`.
        classes: Of the model, whose labels are taken, by name.
        on_error: As in `read_coco`.
        with_masks: As in `read_coco`.

    Raises:
        InputError: As in `detection_split`.
    """
    pair = find_coco(data, "val", images) or find_coco(data, None, images) or _nothing(data)
    return _not_empty(read_coco(*pair, on_error=on_error, with_masks=with_masks, classes=classes))


def find_coco(data: Path, part: str | None, images: Path | None = None) -> tuple[Path, Path] | None:
    """The file of annotations of a part, and the folder of its images.

    Args:
        data: A file of annotations, which has no parts, or a folder.
        part: "train" or "val"; None takes a file that is of no part, if there is one.
        images: Folder of the images; None finds it.

    Returns:
        None if the data has no such part.

    Raises:
        InputError: The data is missing, or has several files for the part.
    """
    if images is not None and not images.is_dir():
        raise InputError(
            "there is no such folder", where=images, expected="the folder of the images", fix="check images="
        )
    if not data.exists():
        raise InputError("there is no such file or folder", where=data, expected=LAYOUT, fix="check the path")
    if data.is_file():
        folder = data.parent.parent if data.parent.name in _FOLDERS_OF_JSON else data.parent
        return None if part else (data, images or _folder_of(data, folder))
    found = _in_parts(data, part) if part else _loose(data)
    if len(found) > 1:
        names = ", ".join(str(file.relative_to(data)) for file, _ in found)
        of_part = f" of {part}" if part else ""
        what = f"there are several files of annotations{of_part}: {names}"
        raise InputError(what, where=data, expected="one", fix="data=FILE.json val=FILE.json, or remove the others")
    return (found[0][0], images or found[0][1]) if found else None


def _in_parts(data: Path, part: str) -> list[_Pair]:
    found = []
    for file in _json_files(data):
        if re.fullmatch(_PREFIX + _PARTS[part], file.stem):
            found.append((file, _folder_of(file, data)))
    for folder in sorted(path for path in data.iterdir() if path.is_dir() and re.fullmatch(_PARTS[part], path.name)):
        inside = [folder / "_annotations.coco.json"]
        inside = inside if inside[0].is_file() else sorted(folder.glob("*.json"))
        found += [(file, folder) for file in inside]
    return found


def _loose(data: Path) -> list[_Pair]:
    """Files of annotations that are of no part; beside one, JSON files of other tools are none."""
    of_parts = _PREFIX + f"(?:{'|'.join(_PARTS.values())})"
    files = [file for file in _json_files(data) if not re.fullmatch(of_parts, file.stem)]
    if len(files) > 1:
        files = [file for file in files if b'"annotations"' in file.read_bytes()] or files
    return [(file, _folder_of(file, data)) for file in files]


def _json_files(data: Path) -> list[Path]:
    return [file for name in _FOLDERS_OF_JSON for file in sorted((data / name).glob("*.json"))]


def _folder_of(file: Path, data: Path) -> Path:
    """The folder of the images of a file of annotations: that of its name, `images`, or all of the data."""
    name = re.sub(f"^{_PREFIX}", "", file.stem)
    candidates = [data / name, data / "images" / name, data / "images"]
    return next((path for path in candidates if path.is_dir()), data)


def _nothing(data: Path) -> NoReturn:
    inside = sorted(path.name for path in data.iterdir() if not path.name.startswith("."))
    shown = f"{', '.join(inside[:10])}{', ...' * (len(inside) > 10)}" or "nothing"
    raise InputError(
        f"no COCO annotations to use in this folder, which has {shown}", where=data, expected=LAYOUT, fix=_FIX
    )


def _not_empty(images: DetectionImages) -> DetectionImages:
    if images.num_annotations:
        return images
    what = "there are no annotations" if not images.problems else "no annotations are left"
    raise InputError(
        f"{what} in this file, for {len(images)} images",
        where=images.path,
        expected="images with annotations",
        fix="annotate images, or correct what is listed above",
    )


def _hold_out(images: DetectionImages, ratio: float, seed: int) -> tuple[DetectionImages, DetectionImages]:
    if len(images) < 2:
        raise InputError(
            "there is only one image, so none can be held out for validation",
            where=images.path,
            expected="at least two images",
            fix="add images, or give validation data: val=FILE.json",
        )
    count = min(max(1, round(ratio * len(images))), len(images) - 1)
    chosen = set(np.random.default_rng([seed, len(images)]).permutation(len(images))[:count].tolist())
    parts: Sequence[list[int]] = [], []
    for index in range(len(images)):
        parts[index in chosen].append(index)
    return _not_empty(images.select(parts[0])), _not_empty(images.select(parts[1]))
