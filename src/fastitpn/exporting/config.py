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
    """What to write; hub is a folder that timm and transformers load, and fastitpn where it has a head."""
    part: Literal["whole", "pyramid", "trunk"] | None = None
    """All of the model, or its features: levels or 1/16 map; none: whole for a task, else the pyramid if it has one."""
    px: ImagePx | None = None
    """Side of the input in pixels; none takes the checkpoint's."""
    width: ImagePx | None = None
    """Width of the input in pixels, where px is its height alone; none is a square."""
    dynamic: Dynamic = "auto"
    """What may change from call to call: nothing, the images in a batch, or also height and width; auto: what can."""
    opset: Annotated[int, Field(ge=14, le=23)] | None = None
    """Version of ONNX's operators, for runtimes that take none above 16 or 17; none is 18."""
    batch: Count = 1
    """Images in one batch, where dynamic is off."""
    precision: Literal["fp32", "fp16", "bf16", "int8"] = "fp32"
    """Number format; of OpenVINO fp16 is that of the weights alone. int8 is for CPUs, by ONNX and OpenVINO."""
    calibrate: Path | None = None
    """Images like those to come, for the scales of int8; none takes 64 of the run's training images."""
    calibrate_images: Count = 64
    """Images to calibrate on at most, spread evenly."""
    max_loss: NonNegative = 1.0
    """Points that int8 or fp16 may lose, of every metric where data has labels, else of 100 decisions or features."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none takes the checkpoint's own."""
    data: Path | None = None
    """Images to compare file and model on, labelled to measure both; none takes the run's own, else a photograph."""
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
