"""The configuration of `fastitpn export`. The string under a field is its line in `--help`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.types import Count, ImagePx, NonNegative
from fastitpn.config.values import OneOf
from fastitpn.data.images.keys import ImageKeys
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.training.config import AccelerationName, ChoiceConfig

GATED = ("fp16", "int8")
"""Precisions whose loss is measured, and must not be above `max_loss`."""
Dynamic = Literal["auto", "off", "batch", "all"]


@dataclass(frozen=True, kw_only=True)
class ExportConfig(ChoiceConfig):
    """Export."""

    _command: ClassVar[str] = "export"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint",)

    checkpoint: Path
    """Checkpoint file or run folder (its best checkpoint), or a file of weights, also as published:NAME."""
    format: Annotated[str, OneOf(FORMATS)] = "onnx"
    """Format of the file; hub is a folder that timm, transformers and fastitpn load."""
    part: Literal["whole", "pyramid", "trunk"] | None = None
    """The whole model, or features: pyramid or trunk; none is whole for a task, else the pyramid if it has one."""
    px: ImagePx | None = None
    """Image size in pixels; none uses that of the checkpoint."""
    width: ImagePx | None = None
    """Width of the input in pixels, if px is only its height; none is a square."""
    dynamic: Dynamic = "auto"
    """Sizes that may change from call to call: none, the batch, or also height and width; auto: all that can."""
    opset: Annotated[int, Field(ge=14, le=23)] | None = None
    """Version of ONNX's operators, for runtimes that accept none above 16 or 17; none is 18."""
    batch: Count = 1
    """Images in one batch, if dynamic is off."""
    precision: Literal["fp32", "fp16", "bf16", "int8"] = "fp32"
    """Number format; fp16 for OpenVINO stores only the weights so. int8 is for CPUs, with ONNX and OpenVINO."""
    calibrate: Path | None = None
    """Images like those to predict, for the scales of int8; none uses 64 of the run's training images."""
    calibrate_images: Count = 64
    """Images to calibrate on at most, spread evenly."""
    max_loss: NonNegative = 1.0
    """Points of every metric that int8 or fp16 may lose; without labels, of 100 decisions or features."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none uses that of the checkpoint."""
    data: Path | None = None
    """Images to compare file and model on, labelled to measure both; none uses those of the run, else a photograph."""
    limit: Count | None = None
    """Images to compare on at most, spread evenly over data; none is 32, and 256 for a classifier in int8."""
    out: Path = Path("runs/export")
    """Folder for the file, its description and an example; an earlier export there is replaced."""
    image: ImageKeys = ImageKeys()

    def problems(self) -> list[str]:
        """Checks what belongs together."""
        result = []
        known = FORMATS[self.format].precisions
        if self.precision not in known:
            able = " or ".join(f"format={name}" for name in FORMATS if self.precision in FORMATS[name].precisions)
            wish = f"{' or '.join(known)} for format={self.format}, or {able}"
            result.append(f"precision: expected {wish}, got {self.precision}")
        if self.precision != "int8" and self.calibrate is not None:
            result.append(f"calibrate: expected together with precision=int8, got precision={self.precision}")
        if self.precision not in GATED and self.max_loss != 1.0:
            wish = " or ".join(f"precision={name}" for name in GATED)
            result.append(f"max_loss: expected together with {wish}, got precision={self.precision}")
        if self.opset is not None and "opset" not in FORMATS[self.format].takes:
            able = " or ".join(f"format={name}" for name in FORMATS if "opset" in FORMATS[name].takes)
            result.append(f"opset: expected together with {able}, got format={self.format}")
        if self.batch != 1 and self.dynamic not in ("auto", "off"):
            result.append(f"batch: expected together with dynamic=off, got dynamic={self.dynamic}")
        return result
