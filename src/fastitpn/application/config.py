"""The configurations of `fastitpn app` and of `fastitpn report live`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.fields import Config
from fastitpn.config.types import Count, Fit, ImagePx
from fastitpn.data.images.keys import ImageKeys
from fastitpn.training.config import AccelerationName


@dataclass(frozen=True, kw_only=True)
class AppConfig(Config):
    """Page."""

    _command: ClassVar[str] = "app"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint",)

    checkpoint: Path
    """Checkpoint file, run folder or exported folder of any task; of a pre-training its features are shown."""
    acceleration: AccelerationName | None = None
    """What the page begins with; none takes the checkpoint's own."""
    px: ImagePx | None = None
    """Side of the input in pixels (detection: its shorter side); none takes the checkpoint's."""
    fit: Fit = "exact"
    """Of an exported folder, images of another size than its graph takes: an error, or both sides are stretched."""
    top_k: Count = 5
    """Classes that a classifier names, the likeliest first."""
    host: str = "127.0.0.1"
    """Address to listen at: this machine alone; 0.0.0.0 lets everyone in who can reach it, without a password."""
    port: Annotated[int, Field(ge=0, le=65535)] = 7860
    """Port to listen at; 0 takes a free one."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes the GPU if there is one."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Number format; auto is bf16-mixed on a GPU that has it, else 32-true."""
    image: ImageKeys = ImageKeys()


@dataclass(frozen=True, kw_only=True)
class LiveConfig(Config):
    """Page."""

    _command: ClassVar[str] = "report live"
    _positional: ClassVar[tuple[str, ...]] = ("run",)

    run: Path
    """Folder of the run, also while it is training."""
    port: Annotated[int, Field(ge=0, le=65535)] = 7861
    """Port to listen at, on this machine alone; 0 takes a free one."""
