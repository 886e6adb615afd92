"""What a data set for segmentation holds: masks in folders, masks of things in COCO's JSON, or panoptic PNGs."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastitpn.data.detection.images import DetectionImages, find_coco, scan_coco
from fastitpn.data.detection.problems import Problem
from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses
from fastitpn.data.segmentation.formats.coco import BACKGROUND, CocoLabels
from fastitpn.data.segmentation.formats.panoptic import PanopticLabels, PanopticScan, scan_panoptic
from fastitpn.data.segmentation.images import MaskFolders, masked_pairs
from fastitpn.data.segmentation.masks import Labels, MaskReader, read_pair
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet, Entry, Finding, Form, check_classes
from fastitpn.errors import InputError

Facts = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Of the data: train, val or all.

    Attributes:
        images: Files.
        labels: Of an image; raises where it cannot be used.
        masks: Files to name, one for each image.
        findings: Of what was found before.
        facts: What there is to say.
        others: Images that cannot be used.
    """

    images: Sequence[Path]
    labels: Callable[[int], Labels]
    masks: Sequence[Path | None]
    findings: Sequence[Finding] = ()
    facts: Facts | None = None
    others: Sequence[Path] = ()


def open_masks(config: DoctorConfig) -> DataSet:
    """Find what is there, and read every mask.

    Raises:
        InputError: There are no masks, or it cannot be told what they mean.
    """
    folders = MaskFolders(
        data=config.data,
        images=config.images,
        masks=config.masks,
        classes=config.classes,
        ignore_index=config.ignore_index,
        reduce_zero_label=config.reduce_zero_label,
    )
    classes = folders.read_classes()
    if parts := panoptic_parts(folders, config.val):
        return _panoptic(parts, classes)
    if folders.in_coco:
        return _coco(_coco_parts(folders, config.val), classes)
    reader = MaskReader.of(classes)
    found = {
        part: _Part(
            images=[image for image, _ in pairs],
            labels=partial(_read, pairs, reader),
            masks=[mask for _, mask in pairs],
        )
        for part, pairs in masked_pairs(folders, config.val).items()
    }
    return _data_set("images with masks", found, classes)


def _read(pairs: Sequence[tuple[Path, Path | None]], reader: MaskReader, index: int) -> Labels:
    return read_pair(*pairs[index], reader)


def panoptic_parts(folders: MaskFolders, val: Path | None) -> dict[str, tuple[Path, Path]]:
    """Files and folders of images of COCO's panoptic annotations by part; empty if there are none."""
    train = folders.find_panoptic("train", "")
    other = folders.find_panoptic("val") if val is None else replace(folders, data=val).find_panoptic("val", "")
    found = {"train": train, "val": other} if train and other else {"": train or other}
    return {part: files for part, files in found.items() if files is not None}


def _panoptic(parts: Mapping[str, tuple[Path, Path]], classes: SegmentationClasses) -> DataSet:
    scans = {part: scan_panoptic(*files) for part, files in parts.items()}
    names = classes.names or next(iter(scans.values())).names
    found = {}
    for part, scan in scans.items():
        findings = [Finding.of(problem, part) for problem in scan.problems]
        if unknown := sorted(set(scan.names) - set(names)):
            what = f"categories that are none of the classes: {', '.join(unknown)}"
            findings.append(Finding(kind="other classes", what=what, files=(parts[part][0],), part=part))
        found[part] = _Part(
            images=[image.path for image in scan.images],
            labels=PanopticLabels(scan.images, names),
            masks=[image.png for image in scan.images],
            findings=findings,
            facts=_segment_facts(scan),
            others=scan.left_out,
        )
    return _data_set("COCO panoptic", found, replace(classes, names=names))


def _segment_facts(scan: PanopticScan) -> Facts:
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


def _coco_parts(folders: MaskFolders, val: Path | None) -> dict[str, tuple[Path, Path]]:
    data, images = folders.data, folders.images_of_coco
    train = find_coco(data, "train", images) or find_coco(data, None, images)
    other = find_coco(val or data, "val", images) or (find_coco(val, None, images) if val else None)
    found = {"train": train, "val": other} if train and other else {"": train or other}
    return {part: files for part, files in found.items() if files is not None}


def _coco(parts: Mapping[str, tuple[Path, Path]], classes: SegmentationClasses) -> DataSet:
    scans = {part: scan_coco(*files, with_masks=True) for part, files in parts.items()}
    listed = next(iter(scans.values())).classes.names
    names = classes.names or (BACKGROUND, *(name for name in listed if name != BACKGROUND))
    names = names[int(classes.reduce_zero_label and not classes.names) :]
    found = {}
    for part, scan in scans.items():
        findings = [Finding.of(problem, part) for problem in scan.problems]
        if unknown := sorted(set(scan.classes.names) - {*names, BACKGROUND}):
            what = f"categories that are none of the classes: {', '.join(unknown)}"
            findings.append(Finding(kind="other classes", what=what, files=(parts[part][0],), part=part))
        found[part] = _Part(
            images=scan.paths,
            labels=CocoLabels(scan, names),
            masks=[None] * len(scan),
            findings=findings,
            facts=_mask_facts(scan),
            others=_left_out(scan.problems, parts[part][0]),
        )
    return _data_set("COCO masks", found, replace(classes, names=names))


def _mask_facts(scan: DetectionImages) -> Facts:
    of_images = [scan.annotations(index) for index in range(len(scan))]
    return {
        "masks": sum(len(one) for one in of_images),
        "crowds": sum(int(one.crowd.sum()) for one in of_images),
        "images without masks": sum(not len(one) for one in of_images),
    }


def _left_out(problems: Sequence[Problem], file: Path) -> list[Path]:
    """Images that cannot be used, as far as they are there."""
    files = {problem.file for problem in problems if problem.leaves_out == "image"} - {file}
    return sorted(filter(Path.is_file, files))


def _data_set(form: Form, parts: Mapping[str, _Part], classes: SegmentationClasses) -> DataSet:
    """Counts pixels by class and part."""
    entries: list[Entry] = []
    findings: list[Finding] = []
    pixels = {part: np.zeros(256, np.int64) for part in parts}
    for part, own in parts.items():
        entries += [Entry(path=path, part=part) for path in sorted({*own.images, *own.others})]
        findings += own.findings

        def count(index: int, own: _Part = own) -> NDArray[np.int64] | InputError:
            try:
                return np.bincount(own.labels(index).ravel(), minlength=256)
            except InputError as error:
                return error

        with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
            results = pool.map(count, range(len(own.images)))
            for image, mask, result in zip(own.images, own.masks, results, strict=True):
                if isinstance(result, InputError):
                    kind = "image without a mask" if mask is None else "mask that cannot be used"
                    files = (image,) if mask is None else (mask, image)
                    findings.append(Finding(kind=kind, what=result.what, files=files, part=part))
                    continue
                pixels[part] += result
                if result[IGNORE] == result.sum():
                    what = "every pixel is left out"
                    findings.append(Finding(kind="empty mask", what=what, files=(mask or image,), part=part))
    present = np.flatnonzero(np.sum([of_part[:IGNORE] for of_part in pixels.values()], axis=0))
    names = classes.numbered(int(present.max(initial=-1)) + 1).names
    counts = {name: {part: int(of_part[i]) for part, of_part in pixels.items()} for i, name in enumerate(names)}
    findings += check_classes(counts, list(pixels), "pixels")
    facts = {
        part: {**(parts[part].facts or {}), "pixels left out": f"{of_part[IGNORE] / max(1, of_part.sum()):.1%}"}
        for part, of_part in pixels.items()
    }
    return DataSet(form=form, entries=entries, unit="pixels", counts=counts, findings=findings, facts=facts)
