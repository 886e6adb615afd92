"""How long it takes to list large data sets, and how much memory: images of 500 classes in a folder each.

    python -m benchmarks.loading [key=value ...]

The files are empty, since only their names are read here. Processor time of one core is measured, and peak memory in a
process for each case.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.memory import peak_mib
from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row
from fastitpn.config.types import Count
from fastitpn.data.classification.labelled import labelled_split
from fastitpn.data.images.folders import left_out, unlabelled

CLASSES = 500


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Loading."""

    images: Count = 200_000
    """Files in the class folders."""


def make_class_folders(folder: Path, images: int) -> None:
    """Empty files in folders of `CLASSES` classes."""
    data = folder / "data"
    for label in range(CLASSES):
        (data / f"class {label:03}").mkdir(parents=True)
    for number in range(images):
        (data / f"class {number % CLASSES:03}" / f"photograph {number:07}.png").touch()


def split_classes(folder: Path) -> None:
    """Lists the images to train and to validate on."""
    labelled_split(folder / "data")


def count_files(folder: Path) -> None:
    """Counts the files that are left out."""
    left_out(folder / "data")


def list_unlabelled(folder: Path) -> None:
    """Lists the images of a pre-training."""
    unlabelled(folder / "data")


CASES: tuple[Callable[[Path], None], ...] = (split_classes, count_files, list_unlabelled)


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
        for case in CASES:
            results.add(measure(case, Path(place), options.images))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
