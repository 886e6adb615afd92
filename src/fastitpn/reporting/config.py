"""Keys of `fastitpn report compare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastitpn.config.fields import Config


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Config):
    """Comparison."""

    _command: ClassVar[str] = "report compare"
    _rest: ClassVar[str | None] = "runs"

    runs: tuple[Path, ...]
    """Folders of the runs; differences are to the first."""
    names: tuple[str, ...] | None = None
    """Titles of the runs, one for each; none uses the names of their folders."""
    out: Path = Path("runs/compare")
    """Folder for the report."""

    def problems(self) -> list[str]:
        """Checks that there is something to compare."""
        result = []
        if len(self.runs) < 2:
            result.append(f"runs: expected two at least, got {len(self.runs)}")
        if self.names is not None and len(set(self.names)) != len(self.runs):
            result.append(f"names: expected {len(self.runs)} different ones, one for each run, got {len(self.names)}")
        return result
