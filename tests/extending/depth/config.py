"""Keys of the task `depth`. `--help` imports this module, so it imports nothing that takes long."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastitpn.config.types import Positive
from fastitpn.tasks.keys import EvaluateConfig, FinetuneConfig, PredictConfig
from fastitpn.tasks.registry import TaskKeys


@dataclass(frozen=True, kw_only=True)
class DepthConfig(FinetuneConfig):
    """Depth."""

    _command: ClassVar[str] = "finetune depth"

    data: Path
    """Folder of images with depths.csv, whose columns are image and metres."""
    farthest_m: Positive = 10.0
    """Depth in metres that the network can give at most."""
    out: Path = Path("runs/depth")
    epochs: float | None = 20
    warmup_epochs: float | None = 1
    lr: Positive = 1e-3
    min_lr: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip_grad: float | None = None


@dataclass(frozen=True, kw_only=True)
class DepthPredictConfig(PredictConfig):
    """Depth: what is written."""

    decimals: int = 2
    """Digits after the point."""


KEYS = TaskKeys(
    train=DepthConfig,
    evaluate=EvaluateConfig,
    predict=DepthPredictConfig,
    sentence="Train a network that says how far away what an image shows is.",
    example="fastitpn finetune depth data=rooms weights=runs/pretrain",
)
