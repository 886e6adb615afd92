"""Keys of `fastitpn benchmark`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from fastitpn.config.types import Count, ImagePx, Positive
from fastitpn.training.config import AccelerationName, ChoiceConfig, DeviceConfig


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(ChoiceConfig, DeviceConfig):
    """Benchmark."""

    _command: ClassVar[str] = "benchmark"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint",)
    _alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("checkpoint", "model"),
        ("checkpoint", "weights"),
        ("rounds", "seconds"),
    )

    checkpoint: Path | None = None
    """Checkpoint file, run folder or exported folder (beside the network it was made of); or give model."""
    model: str | None = None
    """Name of the model; none uses that of the checkpoint or the weights, else fastitpn_tiny."""
    weights: Path | None = None
    """File, run folder or published:NAME whose model is measured; its values do not matter to speed."""
    px: tuple[ImagePx, ...] | None = None
    """Image size in pixels, one or several; none uses that of the model."""
    batch: tuple[Count, ...] = (1,)
    """Images in one batch, one number or several."""
    acceleration: Literal["all"] | tuple[AccelerationName, ...] = "all"
    """Accelerations to compare with the plain model: all, or some of them."""
    peers: tuple[str, ...] | None = None
    """Models of timm to measure beside it, such as vit_base_patch16_224,convnext_base; nothing is fetched."""
    pyramid: bool = False
    """Run the model with its pyramid instead of its head."""
    data: Path | None = None
    """Data as for evaluate: also measures the metrics of the checkpoint with each acceleration."""
    compile: bool = False
    """Compile the models with torch.compile: slow to start, faster passes."""
    threads: Count | None = None
    """Threads of the processor; none leaves it to torch."""
    seconds: Positive = 10.0
    """Time to measure each row, about; every row has 5 rounds at least."""
    rounds: Count | None = None
    """Instead of seconds: turns that each row has."""
    out: Path = Path("runs/benchmark")
    """Folder for the results, the plot and the report."""

    def problems(self) -> list[str]:
        """Checks that there is a classifier where images are given."""
        if self.data is not None and self.checkpoint is None:
            return ["data: expected together with checkpoint=RUN of a trained model, got none"]
        return []
