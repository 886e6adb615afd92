"""Keys of `fastitpn accelerate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from fastitpn.config.types import NonNegative, Positive, Seed
from fastitpn.config.values import OneOf
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.tasks.keys import EvaluateConfig

PYTORCH = "pytorch"
RUNTIMES = (PYTORCH, *(name for name in FORMATS if name not in ("hub", "torchscript")))
"""Where speed can be measured: TorchScript has only the plain model, and a hub folder has no runtime."""


@dataclass(frozen=True, kw_only=True)
class AccelerateConfig(EvaluateConfig):
    """Acceleration that suits a model."""

    _command: ClassVar[str] = "accelerate"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint", "data")

    acceleration: ClassVar[None] = None  # type: ignore[misc]  # is what is searched
    fit: ClassVar[str] = "exact"  # type: ignore[misc]  # an exported graph has but one acceleration
    compile: ClassVar[bool] = False  # type: ignore[misc]  # settings are switched from pass to pass

    checkpoint: Path
    """Checkpoint file or run folder (its best checkpoint) of any task that is evaluated."""
    data: Path
    """Labelled images on which the loss is measured, as for evaluate; best those that the training validated on."""
    max_loss: NonNegative = 0.5
    """Points of the task's first metric that may be lost against acceleration=off."""
    runtime: Annotated[str, OneOf(RUNTIMES)] = PYTORCH
    """Where the model will run, and speed is measured: pytorch, or a format of export, whose graph runs on this CPU."""
    minutes: Positive = 10.0
    """Time for the whole search; the same command typed again resumes with the rest of it."""
    train: bool = False
    """Fine-tune briefly with a faster setting, the data and the settings of the run, and keep that if it helps."""
    seed: Seed = 0
    """Fixes the order of the settings and the images that are tried."""
    out: Path = Path("runs/accelerated")
    """Folder for the copy of the run, with the plot, the table and the report."""
