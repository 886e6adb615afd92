"""What `doctor` finds in a data set with masks, in any of the formats that segmentation reads."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.formats.base import UncheckedPart
from fastitpn.data.segmentation.formats.registry import FORMATS, format_of
from fastitpn.data.segmentation.masked_images import MaskFolders
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet, Entry, Finding, check_classes
from fastitpn.errors import InputError


def diagnose(config: DoctorConfig) -> DataSet | None:
    """Everything there is, with every mask read; None if the data is of no such format and nobody says that it is.

    Raises:
        InputError: There are no masks, or it cannot be told what they mean.
    """
    folders = MaskFolders.of(config)
    if config.task is None and not any(FORMATS[name].claims(folders) for name in FORMATS):
        return None
    form = format_of(folders, "train", "val")
    parts, classes = form.parts(folders, folders.read_classes(), config.val)
    entries: list[Entry] = []
    findings: list[Finding] = []
    pixels = {name: np.zeros(256, np.int64) for name in parts}
    for name, part in parts.items():
        entries += [Entry(path=path, part=name) for path in sorted({*part.images, *part.unusable})]
        findings += [Finding.of(problem, name) for problem in part.problems]
        with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
            results = pool.map(partial(_count, part), range(len(part.images)))
            for image, mask, result in zip(part.images, part.masks, results, strict=True):
                if isinstance(result, InputError):
                    kind = "image without a mask" if mask is None else "mask that cannot be used"
                    files = (image,) if mask is None else (mask, image)
                    findings.append(Finding(kind=kind, what=result.what, files=files, part=name))
                    continue
                pixels[name] += result
                if result[IGNORE] == result.sum():
                    what = "every pixel is left out"
                    findings.append(Finding(kind="empty mask", what=what, files=(mask or image,), part=name))
    present = np.flatnonzero(np.sum([of_part[:IGNORE] for of_part in pixels.values()], axis=0))
    labels = classes.numbered(int(present.max(initial=-1)) + 1).names
    counts = {label: {part: int(of_part[i]) for part, of_part in pixels.items()} for i, label in enumerate(labels)}
    findings += check_classes(counts, list(pixels), "pixels")
    facts = {
        name: {**parts[name].facts, "pixels left out": f"{of_part[IGNORE] / max(1, of_part.sum()):.1%}"}
        for name, of_part in pixels.items()
    }
    return DataSet(form=form.title, entries=entries, unit="pixels", counts=counts, findings=findings, facts=facts)


def _count(part: UncheckedPart, index: int) -> NDArray[np.int64] | InputError:
    """Pixels by label, uint8, of an image."""
    try:
        return np.bincount(part.labels(index).ravel(), minlength=256)
    except InputError as error:
        return error
