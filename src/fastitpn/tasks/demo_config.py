"""Keys of `fastitpn demo`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastitpn.config.types import Seed
from fastitpn.training.config import DeviceConfig


@dataclass(frozen=True, kw_only=True)
class DemoConfig(DeviceConfig):
    """Demo."""

    _command: ClassVar[str] = "demo"

    out: Path = Path("runs/demo")
    """Folder for the runs and their reports."""
    seed: Seed = 0
    """Fixes the generated images and the training."""
    quick: bool = False
    """Fewer images and steps: only shows that everything works."""
