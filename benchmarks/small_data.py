"""Listed defaults against those chosen for few images: blood cells cut out of micrographs (small scale).

    python -m benchmarks.small_data data=BCCD [key=value ...]

BCCD (https://github.com/Shenggan/BCCD_Dataset, MIT) has micrographs with the boxes of three kinds of cells. A window
of 128 px around a cell is an image, and the kind its class: 320 to train on (red cells 45 %), 300 of other micrographs
to validate on. Both arms train `fastitpn_nano` from random weights for the same epochs; all else is left to
`defaults=fixed`, as the help lists them, or `defaults=auto`. A seed changes the images, the start values and the order.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

import fastitpn
from benchmarks.harness.options import TrainingOptions, start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.summary import mean_and_spread
from fastitpn.config.types import ImagePx, Positive

ARMS = {"listed defaults": "fixed", "chosen defaults": "auto"}
TRAIN, VAL = {"RBC": 144, "WBC": 96, "Platelets": 80}, {"RBC": 135, "WBC": 90, "Platelets": 75}
"""Images of each class."""
WINDOW_PX = 128
IDENTITY = ("arm", "seed")


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """Small data."""

    _unwritten = (*TrainingOptions._unwritten, "data", "workers")

    data: Path = Path("BCCD")
    """The folder of BCCD, with Annotations and JPEGImages."""
    epochs: Positive = 20
    """Passes over the images."""
    px: ImagePx = 64
    """Side of the input in pixels."""


def cut_out(annotations: Sequence[Path], counts: dict[str, int], out: Path, rng: random.Random) -> None:
    """Writes a window around so many cells of each class, `out`/CLASS/MICROGRAPH-NUMBER.png."""
    cells: dict[str, list[tuple[Path, int, int, int]]] = {name: [] for name in counts}
    for file in annotations:
        for number, cell in enumerate(ElementTree.parse(file).getroot().iter("object")):
            left, top, right, bottom = (int(cell.findtext(f"bndbox/{side}", "0")) for side in _SIDES)
            cells[cell.findtext("name", "")].append((file, number, (left + right) // 2, (top + bottom) // 2))
    for name, count in counts.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for file, number, x, y in rng.sample(cells[name], count):
            half = WINDOW_PX // 2
            with Image.open(file.parents[1] / "JPEGImages" / f"{file.stem}.jpg") as micrograph:
                window = micrograph.convert("RGB").crop((x - half, y - half, x + half, y + half))
            window.save(out / name / f"{file.stem}-{number}.png")


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def build_cells(data: Path, out: Path, seed: int) -> Path:
    """The data set of a seed: `out` with train and val inside."""
    if not out.is_dir():
        rng = random.Random(seed)
        files = sorted((data / "Annotations").glob("*.xml"))
        rng.shuffle(files)
        half = len(files) // 2
        cut_out(files[:half], TRAIN, out / "train", rng)
        cut_out(files[half:], VAL, out / "val", rng)
    return out


def measure(options: Options, arm: str, seed: int) -> Row:
    """Trains; the accuracy is that of the last step."""
    run = fastitpn.finetune(
        "classify",
        data=build_cells(options.data, options.work / f"cells-{seed}", seed),
        out=options.work / f"{ARMS[arm]}-{seed}",
        model="fastitpn_nano",
        scratch=True,
        px=options.px,
        epochs=options.epochs,
        eval_every_epochs=options.epochs,
        seed=seed,
        device=options.device,
        workers=options.workers,
        defaults=ARMS[arm],
    )
    return {"arm": arm, "seed": seed, "top1": run.metrics["top1"], "batch": run.config["batch"]}


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Top-1 accuracy of each arm, and what always answering the largest class gives."""
    rows = list(rows)
    arms = {arm: [row["top1"] for row in rows if row["arm"] == arm] for arm in ARMS}
    measured = {arm: mean_and_spread(values) for arm, values in arms.items() if values}
    return {**measured, "largest class": 100 * max(VAL.values()) / sum(VAL.values())}


def run(options: Options) -> None:
    """Trains both arms for each seed that is not done yet, prints and stores the accuracies."""
    scale = (
        f"fastitpn_nano at {options.px} px from random weights, {options.epochs:g} epochs, {sum(TRAIN.values())} images"
    )
    results = Results(options, lambda rows: {"scale": scale, "summary": summarise(rows)}, identity=IDENTITY)
    for seed in options.seeds:
        for arm in ARMS:
            if not results.has(arm, seed):
                results.add(measure(options, arm, seed))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
