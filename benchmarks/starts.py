"""Where the arms of a comparison start, and how its command is written down."""

from pathlib import Path
from typing import Any

import torch

from fastitpn.commands.demo import TEACHER, teacher_file
from fastitpn.config import build
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.config import CacheFeaturesConfig
from fastitpn.data.scenes import build_scenes
from fastitpn.models.weights.file import read_weights
from fastitpn.tasks.pretrain.cache_features import run_cache_features
from fastitpn.tasks.pretrain.pretrain import run_pretrain

Options = dict[str, str]
"""Of a benchmark, as typed."""

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


def pretrained(seed: int, options: Options, work: Path) -> Path:
    """The pre-training of a seed: as given, else `STEPS` of the published objective at `PX`; about 25 CPU minutes."""
    if "weights" in options:
        return Path(options["weights"].replace("{seed}", str(seed)))
    folder = work / str(seed)
    if (folder / "pretrain" / "result.json").is_file():
        return folder / "pretrain"
    scenes = build_scenes(folder / "unlabelled", forms=("unlabelled",), unlabelled=UNLABELLED, px=SCENE_PX, seed=seed)
    keys = pretraining_keys(scenes.unlabelled, folder / "pretrain", seed, options)
    own = {"steps": STEPS, "warmup_steps": STEPS // 20, "mask": {"ratio": 0.25}, "loss_on": "all"}
    teacher = store_features(scenes.unlabelled, folder / "features", options)
    return run_pretrain(build(PretrainConfig, {**keys, **own, "teacher": teacher})).directory


def pretraining_keys(data: Path, out: Path, seed: int, options: Options) -> dict[str, Any]:
    """Of a configuration: what is the same for all pre-trainings."""
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
        **running(options),
    }


def running(options: Options) -> dict[str, Any]:
    """What every training is given."""
    return {
        "device": options.get("device", "auto"),
        "precision": options.get("precision", "auto"),
        "workers": int(options.get("workers", 0)),
    }


def store_features(data: Path, out: Path, options: Options, *, px: int = TEACHER_PX, dims: int = TEACHER_DIMS) -> str:
    """Let the demo's teacher, an ImageNet CNN, look at all images once; its name for `teacher=`."""
    config = build(
        CacheFeaturesConfig,
        {
            "data": data,
            "teacher": {"name": f"timm:{TEACHER}", "weights": teacher_file(), "px": px},
            "dims": dims,
            "device": options.get("device", "auto"),
            "precision": options.get("precision", "auto"),
            "out": out,
        },
    )
    return f"features:{run_cache_features(config)}"


def as_typed(options: Options) -> str:
    """Options without places of one machine: of an absolute path only its end."""
    kept = {key: value for key, value in options.items() if key not in ("work", "out")}
    return " ".join(f"{key}={_short(value)}" for key, value in kept.items())


def _short(value: str) -> str:
    return "/".join(Path(value).parts[-4:]) if Path(value).is_absolute() else value
