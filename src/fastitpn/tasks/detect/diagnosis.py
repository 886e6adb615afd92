"""What `doctor` finds in a data set with boxes, in any of the formats that detection reads."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from fastitpn.data.detection.annotations import DetectionClasses, DetectionImages
from fastitpn.data.detection.formats.base import Part
from fastitpn.data.detection.formats.registry import FORMATS, nothing_to_use, open_annotations, recognise
from fastitpn.data.detection.problems import Problem
from fastitpn.data.detection.reading import listed_files, scan
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.folders import list_files
from fastitpn.data.splitting import train_and_val
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet, Entry, Finding, check_classes
from fastitpn.errors import InputError
from fastitpn.tasks.detect.heads.registry import DETECTORS

_LARGEST_SMALL, _LARGEST_MEDIUM = 32**2, 96**2
"""Areas of COCO's small and medium objects, in pixels."""


def diagnose(config: DoctorConfig) -> DataSet | None:
    """Everything that can be told from the annotations; None if the data has none and nobody says that it should.

    Raises:
        InputError: The annotations cannot be read, or there are none.
    """
    is_json = config.data.is_file() and config.data.suffix.lower() == ".json"
    name = recognise(config.data) or ("coco" if is_json or config.task else None)
    if name is None:
        return None
    parts = _parts(config)
    entries: list[Entry] = []
    findings: list[Finding] = []
    counts: dict[str, Counter[str]] = {}
    facts: dict[str, dict[str, object]] = {}
    classes: DetectionClasses | None = None
    for part, annotations in parts.items():
        try:
            images, of_masks = _scan(annotations, config.detector, classes)
        except InputError as error:
            if classes is None:
                raise
            images, of_masks = _scan(annotations, config.detector)  # of other classes
            kind = "other classes than in train"
            findings.append(Finding(kind=kind, what=error.what, files=(annotations.path,), part=part))
        classes = classes or images.classes
        findings += [
            Finding(kind="how annotations were read", what=note, files=(annotations.path,), part=part, problem=False)
            for note in images.notes
        ]
        entries += [Entry(path=path, part=part) for path in sorted({*images.paths, *images.unusable})]
        findings += [Finding.of(problem, part) for problem in images.problems]
        findings += [replace(Finding.of(problem, part), problem=False) for problem in of_masks]
        numbers = np.bincount(images.labels.numpy(), minlength=len(images.classes))
        for label, number in zip(images.classes.names, numbers.tolist(), strict=True):
            counts.setdefault(label, Counter())[part] = number
        facts[part] = _facts(images) | ({"with masks": "some"} if of_masks else {})
    findings += _unlisted([annotations for annotations in parts.values() if annotations.images is not None])
    findings += check_classes(counts, list(parts), "annotations")
    return DataSet(
        form=FORMATS[name].title, entries=entries, unit="annotations", counts=counts, findings=findings, facts=facts
    )


def _parts(config: DoctorConfig) -> dict[str, Part]:
    """The parts of the data by name, or one under ""."""
    parts = open_annotations(config.data, config.images)
    if config.val is not None:
        there = train_and_val(parts.find, open_annotations(config.val, config.images).find)
    elif len(parts.names) > 1:
        there = {name: part for name in parts.names if (part := parts.find(name))}
    else:
        there = train_and_val(parts.find)
    if not there:
        nothing_to_use(config.data)
    return there


def _scan(
    part: Part, detector: str | None, classes: DetectionClasses | None = None
) -> tuple[DetectionImages, list[Problem]]:
    """What a training of a detector uses of a part, and what is wrong for those that need masks alone."""
    if detector is not None:
        return scan(part, classes=classes, with_masks=DETECTORS[detector].needs_masks), []
    images = scan(part, classes=classes)
    if not images.has_masks or not (images.problems or images.without_masks):
        return images, []
    of_boxes = scan(part, classes=classes, with_masks=False)
    of_both = set(of_boxes.problems)
    of_masks = [problem for problem in images.problems if problem not in of_both]
    return of_boxes, [*of_masks, *images.without_masks]


def _facts(images: DetectionImages) -> dict[str, object]:
    of_images = [images.annotations(index) for index in range(len(images))]
    areas = [area for annotations in of_images for area in annotations.area.tolist()]
    small = sum(area < _LARGEST_SMALL for area in areas)
    medium = sum(area < _LARGEST_MEDIUM for area in areas) - small
    return {
        "annotations": len(areas),
        "with masks": images.has_masks,
        "images without annotations": sum(not len(annotations) for annotations in of_images),
        "crowds": sum(int(annotations.crowd.sum()) for annotations in of_images),
        "small, medium, large": f"{small:,}, {medium:,}, {len(areas) - small - medium:,}",
    }


def _unlisted(parts: Collection[Part]) -> list[Finding]:
    """A note for each image in the folders that no part lists: forgotten in annotating, or left over.

    Args:
        parts: All there are, whose annotations can be read; they may share a folder.
    """
    listed = {path.resolve() for part in parts for path in listed_files(part)}
    folders = sorted({part.images for part in parts if part.images is not None and part.images.is_dir()})
    there: dict[Path, Path] = {path.resolve(): path for folder in folders for path in list_files(folder, EXTENSIONS)}
    names = ", ".join(sorted(part.path.name for part in parts))
    return [
        Finding(kind="image that is not listed", what=f"it is not in {names}", files=(path,), problem=False)
        for place, path in there.items()
        if place not in listed
    ]
