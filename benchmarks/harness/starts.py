"""Where the arms of a comparison start: a pre-training of `fastitpn_nano` on scenes without labels."""

from pathlib import Path
from typing import Any

import torch

import fastitpn
from benchmarks.harness.options import TrainingOptions
from fastitpn.data.scenes import build_scenes
from fastitpn.models.weights.file import read_weights
from fastitpn.tasks.demonstration import TEACHER, teacher_file

UNLABELLED, SCENE_PX = 3000, (128, 160)
PX, TEACHER_PX = 128, 512
TEACHER_DIMS = 256
"""Main components of the teacher's 1280 standardised features."""
STEPS = 1600


def without_pyramid(weights: Path, file: Path) -> Path:
    """The same weights but for the pyramid, which then starts fresh."""
    tensors = read_weights(weights).tensors
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: tensor for name, tensor in tensors.items() if not name.startswith("pyramid.")}, file)
    return file


def pretrained(seed: int, options: TrainingOptions, weights: Path | None = None) -> Path:
    """The pre-training of a seed: `weights` with its `{seed}`, else `STEPS` of the published objective at `PX`.

    The latter takes about 25 CPU minutes.
    """
    if weights is not None:
        return Path(str(weights).replace("{seed}", str(seed)))
    folder = options.work / str(seed)
    if (folder / "pretrain" / "result.json").is_file():
        return folder / "pretrain"
    scenes = build_scenes(folder / "unlabelled", forms=("unlabelled",), unlabelled=UNLABELLED, px=SCENE_PX, seed=seed)
    keys = pretraining_keys(scenes.unlabelled, folder / "pretrain", seed, options)
    objective = {"steps": STEPS, "warmup_steps": STEPS // 20, "mask": {"ratio": 0.25}, "loss_on": "all"}
    teacher = store_features(scenes.unlabelled, folder / "features", options)
    return fastitpn.pretrain(**keys, **objective, teacher=teacher).directory


def pretraining_keys(data: Path, out: Path, seed: int, options: TrainingOptions) -> dict[str, Any]:
    """Keys of `pretrain` that are the same for all pre-trainings."""
    return {
        "data": data,
        "out": out,
        "model": "fastitpn_nano",
        "px": PX,
        "batch": 64,
        "lr": 2e-3,
        "drop_path": 0.0,
        "pictures": False,
        "seed": seed,
        "checkpoint_every": 50,
        **machine_keys(options),
    }


def machine_keys(options: TrainingOptions) -> dict[str, Any]:
    """Keys that every training is given."""
    return {"device": options.device, "precision": options.precision, "workers": options.workers}


def store_features(
    data: Path, out: Path, options: TrainingOptions, *, px: int = TEACHER_PX, dims: int = TEACHER_DIMS
) -> str:
    """Lets the demo's teacher, an ImageNet CNN, look at all images once; its name for `teacher=`."""
    teacher = {"name": f"timm:{TEACHER}", "weights": teacher_file(), "px": px}
    machine = {"device": options.device, "precision": options.precision}
    return f"features:{fastitpn.cache_features(data=data, teacher=teacher, dims=dims, out=out, **machine)}"
