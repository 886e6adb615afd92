"""Photographs of others, as they come: blood cells with boxes, and streets with masks (small scale).

    python -m benchmarks.real_data bccd=FOLDER camvid=FOLDER [key=value ...]

BCCD (https://github.com/Shenggan/BCCD_Dataset, MIT) has 364 micrographs with boxes in Pascal VOC's format; CamVid 701
photographs of streets with masks of 11 classes. `fastitpn_nano` learns from random weights, in at most half an hour of
two cores for BCCD and 45 minutes for CamVid; the figures are of the best checkpoint on val, and then on test.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
BCCD_DINO = BCCD | {
    "detector": {"name": "dino", "queries": 300, "layers": 3, "width": 256},
    "lr": 2e-4,
    "clip_grad": 0.1,
    "epochs": 24,
    "eval_every_epochs": 8,
}
CAMVID = {
    "head": {"name": "upernet", "width": 128},
    "px": 224,
    "epochs": 12,
    "batch": 4,
    "lr": 8e-4,
    "eval_every_epochs": 6,
}
BOXES, MASKS = ("box_ap50", "box_ap"), ("miou", "pixel_accuracy")
ARMS: dict[str, tuple[str, str, dict[str, Any], tuple[str, ...]]] = {
    "bccd": ("bccd", "detect", BCCD, BOXES),
    "bccd-dino": ("bccd", "detect", BCCD_DINO, BOXES),
    "camvid": ("camvid", "segment", CAMVID, MASKS),
}
"""By name: the data, the task, what is trained, and the figures."""
IDENTITY = ("data", "seed")


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """Real data."""

    _unwritten = (*TrainingOptions._unwritten, "bccd", "camvid", "workers")

    arms: tuple[Literal[*ARMS], ...] = tuple(ARMS)
    """What to train."""
    bccd: Path | None = None
    """Folder of BCCD, with Annotations, ImageSets and JPEGImages; none leaves it out."""
    camvid: Path | None = None
    """Folder of CamVid, with images, masks and classes.yaml; none leaves it out."""


def measure(options: Options, name: str, data: Path, seed: int) -> Row:
    """Trains, or takes the run that is complete; figures in percent, on val and on test."""
    _, task, keys, figures = ARMS[name]
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
    for name in options.arms:
        data = getattr(options, ARMS[name][0])
        for seed in options.seeds:
            if data is not None and not results.has(name, seed):
                results.add(measure(options, name, data, seed))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
