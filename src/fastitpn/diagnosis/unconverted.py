"""Boxes in formats other than COCO's, before `fastitpn data convert`."""

from collections import Counter
from pathlib import Path
from typing import Literal

from fastitpn.data.detection.converters import Form, find_form, scan_source
from fastitpn.data.detection.formats.yolo import has_text_files
from fastitpn.diagnosis.findings import DataSet, Entry, Finding, check_classes

_NAMES: dict[Form, Literal["Pascal VOC", "YOLO"]] = {"voc": "Pascal VOC", "yolo": "YOLO"}


def form_to_convert(data: Path) -> Form | None:
    """The format of a folder that `data convert` reads; None if it is none, or one with names of classes alone."""
    form = find_form(data) if data.is_dir() else None
    return None if form == "yolo" and not has_text_files(data) else form


def open_unconverted(data: Path, form: Form) -> DataSet:
    """Find what a data set holds that `data convert` reads.

    Raises:
        InputError: There are no names of classes, or no images.
    """
    source = scan_source(data, form)
    name = _NAMES[form]
    found = {
        part: Counter(thing.name for image in images for thing in image.things) for part, images in source.parts.items()
    }
    counts = {label: {part: of_part[label] for part, of_part in found.items()} for label in source.names}
    advice = f"finetune detect reads COCO's format: fastitpn data convert data={data} out=FOLDER, then check FOLDER"
    return DataSet(
        form=name,
        entries=[Entry(path=image.path, part=part) for part, images in source.parts.items() for image in images],
        unit="annotations",
        counts=counts,
        findings=[
            *(Finding.of(problem, "") for problem in source.problems),
            *check_classes(counts, list(source.parts), "annotations"),
            Finding(kind=f"{name} is to be converted", what=advice, problem=False),
        ],
    )
