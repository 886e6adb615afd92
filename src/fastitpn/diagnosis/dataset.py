"""Which form a data set has, and what is in it; nothing stops at the first thing that is wrong."""

from collections import Counter
from pathlib import Path

import numpy as np

from fastitpn.data.detection.images import LAYOUT, DetectionImages, find_coco, scan_coco
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.folders import list_images
from fastitpn.data.images.lists import read_list, read_table
from fastitpn.data.segmentation.images import MaskFolders
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet, Entry, Finding, check_classes
from fastitpn.diagnosis.masks import open_masks, panoptic_parts
from fastitpn.diagnosis.unconverted import form_to_convert, open_unconverted
from fastitpn.diagnosis.unlisted import find_unlisted
from fastitpn.errors import InputError

_PARTS = ("train", "val")
_VAL_NAMES = ("val", "valid", "validation", "test")
_IMAGES, _MASKS = ("images",), ("masks", "annotations", "labels")
_LARGEST_SMALL, _LARGEST_MEDIUM = 32**2, 96**2
"""Areas of COCO's small and medium things, in pixels."""


def open_dataset(config: DoctorConfig) -> DataSet:
    """Find what a data set holds.

    Raises:
        InputError: There is no data, or it is of another form than was asked for.
    """
    if not config.data.exists():
        raise InputError(
            "there is no such file or folder", where=config.data, expected="a data set", fix="check the path"
        )
    task = config.task or _task_of(config)
    if task == "detect":
        return _boxes(config)
    if task == "segment":
        return open_masks(config)
    return _class_folders(config) if task == "classify" else _images(config)


def _task_of(config: DoctorConfig) -> str:
    data = config.data
    if _is_panoptic(config):
        return "segment"
    if data.is_file():
        suffix = data.suffix.lower()
        return {".json": "detect", ".csv": "classify"}.get(suffix, "pretrain")
    if _has_annotations(config):
        return "detect"
    if config.masks or (any((data / name).is_dir() for name in _IMAGES) and any(map(_has_images, _of(data, _MASKS)))):
        return "segment"
    if form_to_convert(data):
        return "detect"
    part = next(iter(_parts(config).values()))
    folders = [folder for folder in _folders(part) if _has_images(folder)]
    return "classify" if len(folders) > 1 and not _loose_images(part) else "pretrain"


def _is_panoptic(config: DoctorConfig) -> bool:
    """Whether there are panoptic annotations, and none of things alone for the same parts."""
    found = panoptic_parts(MaskFolders(data=config.data, images=config.images, masks=config.masks), config.val)
    return bool(found) and (config.data.is_file() or not any(find_coco(config.data, part) for part in _PARTS))


def _has_annotations(config: DoctorConfig) -> bool:
    """Whether there is a file of COCO's format; other tools leave JSON files too."""
    try:
        found = [find_coco(config.data, part, config.images) for part in ("train", "val", None)]
    except InputError:  # several files: the reader will say so
        return True
    return any(pair is not None and b'"annotations"' in pair[0].read_bytes() for pair in found)


def _images(config: DoctorConfig) -> DataSet:
    parts = _parts(config)
    entries = [
        Entry(path=path, part=part)
        for part, place in parts.items()
        for path in (read_list(place) if place.is_file() else list_images(place))
    ]
    return DataSet(form="images", entries=entries)


def _class_folders(config: DoctorConfig) -> DataSet:
    parts = _parts(config)
    entries: list[Entry] = []
    findings: list[Finding] = []
    for part, place in parts.items():
        if place.is_file():
            entries += [Entry(path=row.image, part=part, label=row.label) for row in read_table(place)]
            continue
        for folder in _folders(place):
            try:
                entries += [Entry(path=path, part=part, label=folder.name) for path in list_images(folder)]
            except InputError as error:
                findings.append(
                    Finding(kind="class folder without images", what=error.what, files=(folder,), part=part)
                )
        stray = _loose_images(place)
        if stray:
            what = f"{len(stray)} images beside the folders of the classes are of no class"
            findings.append(Finding(kind="images without a class", what=what, files=tuple(stray), part=part))
        if not any(entry.part == part for entry in entries):
            list_images(place)  # says so if there are no images at all
    if not any(entry.label for entry in entries):
        raise InputError(
            "no class sub-folders with images in this folder",
            where=config.data,
            expected="one sub-folder per class with its images: FOLDER/cat/1.jpg, FOLDER/dog/2.jpg",
            fix="task=pretrain for images without classes",
        )
    counts: dict[str, Counter[str]] = {}
    for entry in entries:
        assert entry.label is not None
        counts.setdefault(entry.label, Counter())[entry.part] += 1
    counts = dict(sorted(counts.items()))
    if len(counts) < 2:
        findings.append(Finding(kind="one class alone", what=f"all images are of the class {next(iter(counts))!r}"))
    findings += check_classes(counts, list(parts), "images")
    return DataSet(form="class folders", entries=entries, counts=counts, findings=findings)


def _boxes(config: DoctorConfig) -> DataSet:
    data, images = config.data, config.images
    train = find_coco(data, "train", images) or find_coco(data, None, images)
    val = find_coco(config.val or data, "val", images)
    if config.val is not None:
        val = val or find_coco(config.val, None, images)
    if train is None and val is None:
        if form := form_to_convert(data):
            return open_unconverted(data, form)
        raise InputError("no COCO annotations in this data", where=data, expected=LAYOUT, fix="data=FILE.json")
    pairs = {"train": train, "val": val} if train and val else {"": train or val}
    entries: list[Entry] = []
    findings: list[Finding] = []
    counts: dict[str, Counter[str]] = {}
    facts: dict[str, dict[str, object]] = {}
    first: DetectionImages | None = None
    for part, pair in pairs.items():
        assert pair is not None
        try:
            found = scan_coco(*pair, classes=first.classes if first else None)
        except InputError as error:
            if first is None:
                raise
            found = scan_coco(*pair)  # of other classes
            findings.append(Finding(kind="other classes than in train", what=error.what, files=(pair[0],), part=part))
        first = first or found
        left_out = {problem.file for problem in found.problems if problem.leaves_out == "image"} - {pair[0]}
        files = sorted({*found.paths, *filter(Path.is_file, left_out)})
        entries += [Entry(path=path, part=part) for path in files]
        findings += [Finding.of(problem, part) for problem in found.problems]
        numbers = np.bincount(found.labels.numpy(), minlength=len(found.classes))
        for name, number in zip(found.classes.names, numbers.tolist(), strict=True):
            counts.setdefault(name, Counter())[part] = number
        facts[part] = _box_facts(found)
    findings += find_unlisted([pair for pair in pairs.values() if pair])
    findings += check_classes(counts, list(pairs), "annotations")
    return DataSet(
        form="COCO annotations", entries=entries, unit="annotations", counts=counts, findings=findings, facts=facts
    )


def _box_facts(found: DetectionImages) -> dict[str, object]:
    areas, empty, crowds = [], 0, 0
    for index in range(len(found)):
        of_image = found.annotations(index)
        areas += of_image.area.tolist()
        crowds += int(of_image.crowd.sum())
        empty += not len(of_image)
    small = sum(area < _LARGEST_SMALL for area in areas)
    medium = sum(area < _LARGEST_MEDIUM for area in areas) - small
    return {
        "annotations": len(areas),
        "with masks": found.has_masks,
        "images without annotations": empty,
        "crowds": crowds,
        "small, medium, large": f"{small:,}, {medium:,}, {len(areas) - small - medium:,}",
    }


def _parts(config: DoctorConfig) -> dict[str, Path]:
    """Where train and val are, or all of the data."""
    data = config.data
    val = config.val or next((data / name for name in _VAL_NAMES if (data / name).is_dir()), None)
    if val is not None and (data / "train").is_dir():
        return {"train": data / "train", "val": val}
    return {"": data} if config.val is None else {"train": data, "val": config.val}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _of(data: Path, names: tuple[str, ...]) -> list[Path]:
    return [data / name for name in names if (data / name).is_dir()]


def _has_images(folder: Path) -> bool:
    try:
        return bool(list_images(folder))
    except InputError:
        return False


def _loose_images(folder: Path) -> list[Path]:
    """Images in a folder itself."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file())
    return sorted(path for path in files if not path.name.startswith("."))
