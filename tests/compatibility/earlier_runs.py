"""Which runs are stored, how each of them is started, and what can be told of a checkpoint through public functions."""

import json
import lzma
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from micro import MICRO
from PIL import Image
from torch import Tensor

import fastitpn

STORED = Path(__file__).parent / "runs"
EXPECTED = STORED / "expected.json"
STEPS, INTERRUPTED = 6, 3
MACHINE: dict[str, Any] = {"workers": 0, "device": "cpu", "precision": "32-true"}
MOST_THINGS = 5
"""Things of a picture that are compared, the surest."""

_TRAINING: dict[str, Any] = {
    **MACHINE,
    "px": 32,
    "batch": 4,
    "steps": STEPS,
    "warmup_steps": 0,
    "checkpoint_every": INTERRUPTED,
    "log_every": 1,
}
_FINETUNING: dict[str, Any] = {**_TRAINING, "weights": "runs/pretrain", "lr": 1e-2, "eval_every_epochs": 1}
_PANOPTIC: dict[str, Any] = {
    **_FINETUNING,
    "head": "mask2former",
    "panoptic": True,
    "head_width": 32,
    "queries": 8,
    "px": 64,
}
_RCNN: dict[str, Any] = {**_FINETUNING, "anchor_scale": 4, "regions": 16, "eval_every_epochs": 2}


@dataclass(frozen=True, kw_only=True)
class EarlierRun:
    """A run.

    All its paths begin at the current folder, so that it can be continued in another one.

    Attributes:
        name: Of its folder in `runs`.
        task: "pretrain", or that of a fine-tuning.
        data: Folder in `data`.
        pictures: Those in it that are predicted.
        keys: All others.
        layers: Of mask2former, where it was given fewer when it was made than any key asks for, to keep it small.
        resumable: Whether its interrupted state is stored.
        repeatable: Whether the same keys still train the same model.
        stored: Whether its last weights are; else what is known of them is.
        forms: What it is exported to.
    """

    name: str
    task: str
    data: str
    pictures: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    layers: int | None = None
    resumable: bool = False
    repeatable: bool = True
    stored: bool = True
    forms: tuple[str, ...] = ()

    @property
    def out(self) -> Path:
        """Its folder."""
        return Path("runs") / self.name

    def start(self) -> fastitpn.Run:
        """Begins it, or continues it if its folder is there."""
        keys = {**self.keys, "data": f"data/{self.data}", "out": str(self.out)}
        return fastitpn.pretrain(**keys) if self.task == "pretrain" else fastitpn.finetune(self.task, **keys)

    def evaluation(self, checkpoint: Path) -> dict[str, float]:
        """Figures of a checkpoint."""
        data = f"data/{self.data}/val" if self.task == "classify" else f"data/{self.data}"
        return fastitpn.evaluate(checkpoint, data, batch=4, out="evaluation", **MACHINE).metrics

    def predictions(self, checkpoint: Path) -> list[dict[str, Any]]:
        """What `predict` says of each picture, without masks and paths."""
        more = {"min_score": 0} if self.task == "detect" else {}
        found = fastitpn.predict(
            checkpoint, f"data/{self.data}/{self.pictures}", batch=4, out="predictions", **more, **MACHINE
        )
        return [shortened(one) for one in found]

    def put(self, folder: Path, *, interrupted: bool = False) -> Path:
        """Unpacks it, finished but for its report or interrupted, into a folder where its paths begin.

        Returns:
            Its own folder there.
        """
        out = folder / self.out
        (out / "checkpoints").mkdir(parents=True)
        shutil.copy(STORED / self.name / "config.yaml", out)
        if interrupted:
            shutil.copy(STORED / self.name / "metrics.jsonl", out)
            _unpack(self.name, "last.ckpt", out / "checkpoints" / "last.ckpt")
        else:
            _unpack(self.name, "final_best.ckpt", out / "checkpoints" / "best.ckpt")
        return out


RUNS = {
    run.name: run
    for run in (
        EarlierRun(
            name="pretrain",
            task="pretrain",
            data="unlabelled",
            keys={**_TRAINING, "model": MICRO, "teacher": "ema"},
            resumable=True,
            forms=("official", "torchscript", "hub"),
        ),
        EarlierRun(
            name="classify",
            task="classify",
            data="classify",
            pictures="val",
            keys={**_FINETUNING, "ema": 0.5, "lr": 2e-2, "seed": 2},
            resumable=True,
            forms=("official", "onnx", "hub"),
        ),
        EarlierRun(
            name="segment_linear",
            task="segment",
            data="segment",
            pictures="images/val",
            keys={**_FINETUNING, "head": "linear"},
            resumable=True,
            forms=("onnx", "hub"),
        ),
        EarlierRun(
            name="segment_upernet",
            task="segment",
            data="segment",
            pictures="images/val",
            keys={
                **_FINETUNING,
                **{"head": "upernet", "head_width": 8, "head.dropout": 0},  # 0.1 by default since
                **{"max_class_ratio": 0.5, "seed": 2},
            },
            forms=("torchscript", "hub"),
        ),
        EarlierRun(
            name="panoptic",
            task="segment",
            data="panoptic",
            pictures="val",
            keys={**_PANOPTIC, "steps": 60, "eval_every_epochs": 20},
            layers=1,
            forms=("hub",),
        ),
        EarlierRun(name="panoptic_deep", task="segment", data="panoptic", keys={**_PANOPTIC, "lr": 1e-3}, stored=False),
        EarlierRun(
            name="faster_rcnn",
            task="detect",
            data="detect",
            pictures="val",
            keys={**_RCNN, "detector": "faster_rcnn"},
            resumable=True,
            forms=("onnx", "hub"),
        ),
        EarlierRun(
            name="mask_rcnn",
            task="detect",
            data="detect",
            pictures="val",
            keys={**_RCNN, "detector": "mask_rcnn"},
            forms=("onnx", "hub"),
        ),
        EarlierRun(
            name="dino",
            task="detect",
            data="detect",
            pictures="val",
            keys={**_FINETUNING, "detector": "dino", "queries": 10, "layers": 1},
            repeatable=False,
            forms=("onnx", "hub"),
        ),
    )
}
"""By name, in the order in which they are made: the first gives the weights of all others."""


def expected() -> dict[str, Any]:
    """What is known of the finished runs, by name."""
    content: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return content


def weights(checkpoint: Path) -> dict[str, Tensor]:
    """Those that a checkpoint holds, by name and in their order."""
    content: dict[str, Tensor] = torch.load(checkpoint, weights_only=True)["weights"]
    return content


def sums(tensors: dict[str, Tensor]) -> dict[str, list[float]]:
    """Of each tensor the sum, and that of the absolute values."""
    return {name: [float(one.double().sum()), float(one.double().abs().sum())] for name, one in tensors.items()}


@torch.no_grad()
def features(source: Path) -> list[list[float]]:
    """What trunk and pyramid make of the first unlabelled picture: for each level mean and mean square of the channels.

    Args:
        source: Weights in any form.
    """
    model = fastitpn.create_model(MICRO, pyramid=True, img_size=32, num_classes=0, global_pool="").eval()
    fastitpn.load_weights(model, source)
    pixels = np.array(Image.open("data/unlabelled/0.png"))
    levels = model.pyramid_features(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)  # [1, 3, H, W]
    return [[float(level.mean()), float(level.square().mean())] for level in levels]


def shortened(prediction: Any) -> dict[str, Any]:
    """A prediction as plain types, without what depends on folders, without masks, and with the surest things alone.

    Args:
        prediction: For one picture.
    """
    found = prediction.to_json()
    kept = {name: value for name, value in found.items() if name not in ("path", "mask")}
    if "things" in kept:
        kept["things"] = [
            {name: value for name, value in thing.items() if name != "mask"} for thing in kept["things"][:MOST_THINGS]
        ]
    return kept


def _unpack(name: str, file: str, to: Path) -> None:
    to.write_bytes(lzma.decompress((STORED / name / f"{file}.xz").read_bytes()))
