"""Where the arms of a comparison start, and how its command is written down."""

from pathlib import Path

import torch

from fastitpn.config import DemoConfig, build
from fastitpn.data.scenes import build_scenes
from fastitpn.engine.demo import pretrain_config, teacher_file
from fastitpn.engine.pretrain import run_pretrain
from fastitpn.models.weights_file import read_weights

Options = dict[str, str]
"""Of a benchmark, as typed."""


def without_pyramid(weights: Path, file: Path) -> Path:
    """The same weights but for the pyramid, which then starts fresh."""
    tensors = read_weights(weights).tensors
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: tensor for name, tensor in tensors.items() if not name.startswith("pyramid.")}, file)
    return file


def pretrained(seed: int, options: Options, work: Path) -> Path:
    """The pre-training of a seed: as given, else as the demo's."""
    if "weights" in options:
        return Path(options["weights"].replace("{seed}", str(seed)))
    config = build(DemoConfig, {"out": work / str(seed), "seed": seed, "device": options.get("device", "auto")})
    scenes = build_scenes(config.out / "unlabelled", forms=("unlabelled",), seed=seed)
    return run_pretrain(pretrain_config(config, scenes, teacher_file())).directory


def as_typed(options: Options) -> str:
    """Options without places of one machine: of an absolute path only its end."""
    kept = {key: value for key, value in options.items() if key not in ("work", "out")}
    return " ".join(f"{key}={_short(value)}" for key, value in kept.items())


def _short(value: str) -> str:
    return "/".join(Path(value).parts[-4:]) if Path(value).is_absolute() else value
