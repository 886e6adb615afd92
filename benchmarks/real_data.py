"""Photographs of others, as they come: blood cells with boxes, and streets with masks (small scale).

    python -m benchmarks.real_data bccd=FOLDER camvid=FOLDER [key=value ...]

BCCD (https://github.com/Shenggan/BCCD_Dataset, MIT) has 364 micrographs with boxes in Pascal VOC's format; CamVid 701
photographs of streets with masks of 11 classes. `fastitpn_nano` learns from random weights, in at most half an hour of
two cores for BCCD and 45 minutes for CamVid; the figures are of the best checkpoint on val, and then on test.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastitpn
from benchmarks.harness.options import TrainingOptions, start
from benchmarks.harness.results import Results, Row

SHARED: dict[str, Any] = {
    "model": "fastitpn_nano",
    "scratch": True,
    "warmup_epochs": 1,
    "layer_decay": 1,
    "drop_path": 0,
    "ema": None,
    "checkpoint_every": 100,
}
BCCD = {"detector": "faster_rcnn", "px": 320, "epochs": 14, "batch": 2, "lr": 4e-4, "eval_every_epochs": 7}
CAMVID = {
    "head": {"name": "upernet", "width": 128},
    "px": 224,
    "epochs": 12,
    "batch": 4,
    "lr": 8e-4,
    "eval_every_epochs": 6,
}
TASKS = {"bccd": ("detect", BCCD, ("box_ap50", "box_ap")), "camvid": ("segment", CAMVID, ("miou", "pixel_accuracy"))}
IDENTITY = ("data", "seed")


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """Real data."""

    _unwritten = (*TrainingOptions._unwritten, "bccd", "camvid", "workers")

    bccd: Path | None = None
    """Folder of BCCD, with Annotations, ImageSets and JPEGImages; none leaves it out."""
    camvid: Path | None = None
    """Folder of CamVid, with images, masks and classes.yaml; none leaves it out."""


def measure(options: Options, name: str, data: Path, seed: int) -> Row:
    """Trains, or takes the run that is complete; figures in percent, on val and on test."""
    task, keys, figures = TASKS[name]
    machine = {"device": options.device, "workers": options.workers}
    run = fastitpn.finetune(task, data=data, out=options.work / name, seed=seed, **SHARED, **keys, **machine)
    row: Row = {"data": name, "seed": seed, "epochs": keys["epochs"]}
    for split in ("val", "test"):
        out = options.work / f"{name}-{split}"
        measured = fastitpn.evaluate(run.best_checkpoint, data, split=split, out=out, **machine).metrics
        row |= {f"{split}_{figure}": measured[figure] for figure in figures}
    return row


def run(options: Options) -> None:
    """Trains on each data set that is there and not done yet; prints and stores the figures."""
    scale = {"scale": "fastitpn_nano from random weights, a few epochs"}
    results = Results(options, lambda rows: scale, identity=IDENTITY)
    for name, data in (("bccd", options.bccd), ("camvid", options.camvid)):
        for seed in options.seeds:
            if data is not None and not results.has(name, seed):
                results.add(measure(options, name, data, seed))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
