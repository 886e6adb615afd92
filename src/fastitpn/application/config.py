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
    """Checkpoint file, run folder or exported folder of any task; a pre-training shows its features."""
    acceleration: AccelerationName | None = None
    """Setting at the start of the page; none uses that of the checkpoint."""
    px: ImagePx | None = None
    """Image size in pixels (detection: of the shorter edge); none uses that of the checkpoint."""
    fit: Fit = "exact"
    """For an exported folder: other images than its graph accepts are an error, or are stretched to its size."""
    top_k: Count = 5
    """Classes that a classifier names, the most probable first."""
    host: str = "127.0.0.1"
    """Address to listen at: only this machine; 0.0.0.0 lets in everyone who can reach it, without a password."""
    port: Annotated[int, Field(ge=0, le=65535)] = 7860
    """Port to listen at; 0 uses a free port."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto uses a GPU if there is one."""
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
