"""What `doctor` finds in a data set of images with one class each."""

from collections import Counter

from fastitpn.data.classification.formats.registry import format_of, recognise
from fastitpn.data.classification.multilabel import has_label_sets
from fastitpn.data.classification.parts import class_parts
from fastitpn.data.images.folders import inner_folder
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet, Entry, Finding, check_classes
from fastitpn.errors import InputError
from fastitpn.tasks.classify.multilabel_diagnosis import diagnose_labels


def diagnose(config: DoctorConfig) -> DataSet | None:
    """Every image with its class; None if the data is of no such format and nobody says that it is.

    Raises:
        InputError: There are no images, or none has a class.
    """
    if has_label_sets(config.data):
        return diagnose_labels(config.data, config.val)
    parts = class_parts(config.data)
    if config.val is not None:
        given = class_parts(config.val)
        parts = {"train": parts.get("train") or parts[""], "val": given.get("val") or next(iter(given.values()))}
    first = next(iter(parts.values())).path
    inner = inner_folder(first)
    if config.task is None and recognise(first) is None and (inner is None or recognise(inner) is None):
        return None
    entries: list[Entry] = []
    findings: list[Finding] = []
    for part, place in parts.items():
        images, oddities = place.check()
        entries += [Entry(path=path, part=part, label=label) for path, label in images]
        findings += [Finding(kind=odd.kind, what=odd.what, files=odd.files, part=part) for odd in oddities]
    if not entries:
        raise InputError(
            "no class sub-folders with images in this folder",
            where=config.data,
            expected="one sub-folder per class with its images: FOLDER/cat/1.jpg, FOLDER/dog/2.jpg",
            fix="task=pretrain for images without classes",
        )
    by_class: dict[str, Counter[str]] = {}
    for entry in entries:
        by_class.setdefault(entry.label or "", Counter())[entry.part] += 1
    counts = dict(sorted(by_class.items()))
    if len(counts) < 2:
        what = f"all images are of the class {next(iter(counts))!r}"
        what += f"; the folders in it look like classes: data={inner}" if inner and recognise(inner) else ""
        findings.append(Finding(kind="one class alone", what=what))
    findings += check_classes(counts, list(parts), "images")
    return DataSet(form=format_of(first).title, entries=entries, counts=counts, findings=findings)
