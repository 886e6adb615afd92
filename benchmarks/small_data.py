"""Listed defaults, the small recipe and no other key than the images, on few photographs (small scale).

    python -m benchmarks.small_data cells=BCCD streets=CAMVID raccoons=RACCOON [key=value ...]

Three data sets of windows of 128 px, about 320 to train on and 300 of other photographs to validate on:

    cells     around the cells of micrographs (BCCD, https://github.com/Shenggan/BCCD_Dataset, MIT), of three kinds
    streets   of street scenes (CamVid), named after the class that most of their pixels have; five classes
    raccoons  around raccoons (https://github.com/datitran/raccoon_dataset) and beside them; two classes

All arms train from random weights: `defaults=fixed`, `recipe=classify_small`, and no other key at all. `px` and
`epochs` may be given to all. A seed changes the images, the start values and the order.
"""

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

import fastitpn
from benchmarks.harness.options import TrainingOptions, start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.summary import mean_and_spread
from fastitpn.config.types import ImagePx, Positive
from fastitpn.data.segmentation.classes import find_classes
from fastitpn.errors import InputError

ARMS: dict[str, dict[str, Any]] = {
    "listed defaults": {"defaults": "fixed", "model": "fastitpn_nano"},
    "small recipe": {"recipe": "classify_small"},
    "no other key": {},
}
CELLS = {"RBC": (144, 135), "WBC": (96, 90), "Platelets": (80, 75)}
STREETS = dict.fromkeys(("building", "tree", "road", "sky", "car"), (64, 60))
RACCOONS = {"raccoon": (90, 90), "elsewhere": (90, 90)}
"""Images of each class, to train and to validate on at most."""
WINDOW_PX = 128
IDENTITY = ("data", "arm", "seed")
Window = tuple[Path, str, tuple[int, int]]
"""An image, a class, and the left upper corner of a window."""


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """Small data."""

    _unwritten = (*TrainingOptions._unwritten, "cells", "streets", "raccoons", "device", "workers")

    cells: Path | None = None
    """The folder of BCCD, with Annotations and JPEGImages; none leaves it out."""
    streets: Path | None = None
    """The folder of CamVid, with images, masks and classes.yaml."""
    raccoons: Path | None = None
    """The folder of the raccoons, with annotations and images."""
    epochs: Positive | None = None
    """Passes over the images; none leaves them to each arm."""
    px: ImagePx | None = None
    """Side of the input in pixels, likewise."""


def around_boxes(annotations: Path, images: Path, beside: str | None = None) -> Iterator[Window]:
    """Windows around the middle of every box of VOC files; and, named `beside`, one in the corner far from them."""
    for file in sorted(annotations.glob("*.xml")):
        root = ElementTree.parse(file).getroot()
        image = images / f"{file.stem}.jpg"
        middles = []
        for thing in root.iter("object"):
            left, top, right, bottom = (int(thing.findtext(f"bndbox/{side}", "0")) for side in _SIDES)
            middles.append(((left + right) // 2, (top + bottom) // 2))
            yield image, thing.findtext("name", ""), _corner(*middles[-1])
        if beside is not None and image.is_file():
            with Image.open(image) as photograph:
                width, height = photograph.size
            half = WINDOW_PX // 2
            corners = [(x, y) for x in (half, width - half) for y in (half, height - half)]
            far = max(corners, key=lambda corner: min(abs(corner[0] - x) + abs(corner[1] - y) for x, y in middles))
            yield image, beside, _corner(*far)


def of_masks(folder: Path, classes: Iterable[str]) -> Iterator[Window]:
    """Windows on a grid of street scenes, of the wanted class that has most of their pixels and more than half."""
    names = find_classes(folder).names
    for mask in sorted((folder / "masks").glob("*/*.png")):
        image = next((folder / "images" / mask.parent.name).glob(f"{mask.stem}.*"))
        with Image.open(mask) as opened:
            labels = np.asarray(opened)
        for top in range(0, labels.shape[0] - WINDOW_PX + 1, WINDOW_PX):
            for left in range(0, labels.shape[1] - WINDOW_PX + 1, WINDOW_PX):
                window = labels[top : top + WINDOW_PX, left : left + WINDOW_PX]
                for name in classes:
                    if 2 * int((window == names.index(name)).sum()) > window.size:
                        yield image, name, (left, top)


def _corner(x: int, y: int) -> tuple[int, int]:
    return x - WINDOW_PX // 2, y - WINDOW_PX // 2


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def build(windows: Sequence[Window], counts: dict[str, tuple[int, int]], out: Path, seed: int) -> Path:
    """The data set of a seed: `out`/PART/CLASS/IMAGE-NUMBER.png, of other images in train and val."""
    if out.is_dir():
        return out
    rng = random.Random(seed)
    images = sorted({image for image, _, _ in windows})
    rng.shuffle(images)
    trained = set(images[: len(images) // 2])
    numbered = list(enumerate(windows))
    rng.shuffle(numbered)
    taken: Counter[tuple[str, str]] = Counter()
    begun = out.with_name(f"{out.name}-begun")
    shutil.rmtree(begun, ignore_errors=True)
    for number, (image, name, (left, top)) in numbered:
        part = "train" if image in trained else "val"
        if taken[part, name] >= counts[name][part == "val"]:
            continue
        taken[part, name] += 1
        (begun / part / name).mkdir(parents=True, exist_ok=True)
        with Image.open(image) as photograph:
            window = photograph.convert("RGB").crop((left, top, left + WINDOW_PX, top + WINDOW_PX))
        window.save(begun / part / name / f"{image.stem}-{number}.png")
    begun.rename(out)
    return out


def sources(options: Options) -> dict[str, tuple[dict[str, tuple[int, int]], Callable[[], list[Window]]]]:
    """The data sets that were given: images of each class, and their windows."""
    cells, streets, raccoons = options.cells, options.streets, options.raccoons
    known: dict[str, tuple[dict[str, tuple[int, int]], Callable[[], list[Window]]]] = {}
    if cells is not None:
        known["cells"] = CELLS, lambda: list(around_boxes(cells / "Annotations", cells / "JPEGImages"))
    if streets is not None:
        known["streets"] = STREETS, lambda: list(of_masks(streets, STREETS))
    if raccoons is not None:
        files = raccoons / "annotations", raccoons / "images"
        known["raccoons"] = RACCOONS, lambda: list(around_boxes(*files, beside="elsewhere"))
    if not known:
        raise InputError("no photographs are given", fix="cells=BCCD streets=CAMVID raccoons=RACCOON, or one of them")
    return known


def measure(options: Options, data: Path, arm: str, seed: int) -> Row:
    """Trains; the accuracy is that of the best step, which is the one that is kept."""
    begin = time.process_time()
    given = {"px": options.px, "epochs": options.epochs}
    run = fastitpn.finetune(
        "classify",
        data=data,
        out=options.work / f"{data.name}-{arm.replace(' ', '-')}",
        scratch=True,
        seed=seed,
        device=options.device,
        workers=options.workers,
        **{key: value for key, value in given.items() if value is not None},
        **ARMS[arm],
    )
    keys = {key: run.config[key] for key in ("model", "px", "epochs", "batch")}
    return {"top1": run.metrics["top1"], **keys, "cpu_s": round(time.process_time() - begin)}


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Top-1 accuracy of each arm on each data set."""
    groups: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        groups.setdefault(row["data"], {}).setdefault(row["arm"], []).append(row["top1"])
    return {data: {arm: mean_and_spread(values) for arm, values in arms.items()} for data, arms in groups.items()}


def run(options: Options) -> None:
    """Trains all arms for each seed and data set that is not done yet, prints and stores the accuracies."""
    results = Results(options, lambda rows: {"summary": summarise(rows)}, identity=IDENTITY, device=options.device)
    for name, (counts, windows) in sources(options).items():
        for seed in options.seeds:
            for arm in ARMS:
                if not results.has(name, arm, seed):
                    data = build(windows(), counts, options.work / f"{name}-{seed}", seed)
                    results.add({"data": name, "arm": arm, "seed": seed, **measure(options, data, arm, seed)})
    results.finish()


if __name__ == "__main__":
    start(Options, run)
