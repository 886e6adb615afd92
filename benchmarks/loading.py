"""How long it takes to list large data sets, and how much memory: images of 500 classes in a folder each, and of COCO.

    python -m benchmarks.loading [key=value ...]

The files of classes are empty, since only their names are read. Those of COCO's format are links to a few images of
640x480 px, since training checks that each can be decoded: `index_coco` is the reading of boxes alone, `index_masks`
with outlines, and `read_coco` also checks the images.
Processor time of one core is measured, and peak memory in a process for each case.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from benchmarks.harness.memory import peak_mib
from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row
from fastitpn.config.types import Count
from fastitpn.data.classification.labelled import labelled_split
from fastitpn.data.detection.images import detection_split
from fastitpn.data.images.folders import left_out, unlabelled

CLASSES = 500
CORNERS = 12
"""Of the outline of each object."""
LINKS = 50_000
"""Links to a file at most: file systems have a limit."""


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Loading."""

    images: Count = 200_000
    """Files in the class folders."""
    coco_images: Count = 100_000
    """Images of the file in COCO's format."""
    annotations: Count = 860_000
    """Boxes in it."""


def make_class_folders(folder: Path, images: int) -> None:
    """Empty files in folders of `CLASSES` classes."""
    data = folder / "data"
    for label in range(CLASSES):
        (data / f"class {label:03}").mkdir(parents=True)
    for number in range(images):
        (data / f"class {number % CLASSES:03}" / f"photograph {number:07}.png").touch()


def make_coco(folder: Path, images: int, annotations: int) -> None:
    """Links to images of one colour, and a JSON file with boxes and outlines of 80 classes."""
    photographs = folder / "coco" / "images"
    photographs.mkdir(parents=True)
    for number in range(images):
        if number % LINKS == 0:
            first = photographs / f"{number:012}.jpg"
            Image.new("RGB", (640, 480), "gray").save(first)
        else:
            os.link(first, photographs / f"{number:012}.jpg")
    corners = np.random.default_rng(1).uniform(0, 480, (annotations, 2 * CORNERS)).round(2).tolist()
    sides = np.random.default_rng(0).uniform(1, 200, (annotations, 4)).round(2).tolist()
    content = {
        "images": [{"id": n, "file_name": f"{n:012}.jpg", "width": 640, "height": 480} for n in range(images)],
        "annotations": [
            {"id": n, "image_id": n % images, "category_id": n % 80, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            | {"segmentation": [outline]}
            for n, (box, outline) in enumerate(zip(sides, corners, strict=True))
        ],
        "categories": [{"id": n, "name": f"class {n}"} for n in range(80)],
    }
    (folder / "coco" / "labels.json").write_text(json.dumps(content), encoding="utf-8")


def index_coco(folder: Path) -> None:
    """Reads and checks the annotations, and finds the images, without decoding them."""
    with patch("fastitpn.data.detection.reading.check_files", return_value=[]):
        read_coco(folder)


def index_masks(folder: Path) -> None:
    """As `index_coco`, with the outlines of the objects."""
    with patch("fastitpn.data.detection.reading.check_files", return_value=[]):
        detection_split(folder / "coco", with_masks=True)


def read_coco(folder: Path) -> None:
    """Reads and checks the annotations and every image, as a training on boxes does."""
    detection_split(folder / "coco", with_masks=False)


def split_classes(folder: Path) -> None:
    """Lists the images to train and to validate on."""
    labelled_split(folder / "data")


def count_files(folder: Path) -> None:
    """Counts the files that are left out."""
    left_out(folder / "data")


def list_unlabelled(folder: Path) -> None:
    """Lists the images of a pre-training."""
    unlabelled(folder / "data")


CASES: tuple[Callable[[Path], None], ...] = (
    split_classes,
    count_files,
    list_unlabelled,
    index_coco,
    index_masks,
    read_coco,
)


def measure(case: Callable[[Path], None], folder: Path, images: int) -> Row:
    """Seconds and MiB of a case."""
    started = time.process_time()
    case(folder)
    seconds = time.process_time() - started
    mib = peak_mib(case, folder, device="cpu")
    return {"case": case.__name__, "images": images, "seconds": round(seconds, 2), "mib": round(mib)}


def run(options: Options) -> None:
    """Measures all cases, prints and stores them."""
    results = Results(options)
    with tempfile.TemporaryDirectory() as place:
        make_class_folders(Path(place), options.images)
        make_coco(Path(place), options.coco_images, options.annotations)
        for case in CASES:
            images = options.coco_images if case in (index_coco, index_masks, read_coco) else options.images
            results.add(measure(case, Path(place), images))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
