"""The configuration of `fastitpn export`. The string under a field is its line in `--help`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.types import Count, ImagePx
from fastitpn.config.values import OneOf
from fastitpn.data.images.keys import ImageKeys
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.training.config import AccelerationName, ChoiceConfig

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
    """Number format inside; int8 quantises the matrices of an ONNX file for CPUs, and says what that costs."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none takes the checkpoint's own."""
    data: Path | None = None
    """Images to compare file and model on, labelled to measure both; none takes the run's own, else a photograph."""
    limit: Count = 32
    """Images to compare on at most, spread evenly over data."""
    out: Path = Path("runs/export")
    """Folder for the file, its description and an example; an earlier export there is replaced."""
    image: ImageKeys = ImageKeys()

    def problems(self) -> list[str]:
        """Checks what belongs together."""
        result = []
        known = FORMATS[self.format].precisions
        if self.precision not in known:
            result.append(f"precision: expected {' or '.join(known)} for format={self.format}, got {self.precision}")
        if self.opset is not None and "opset" not in FORMATS[self.format].takes:
            able = " or ".join(f"format={name}" for name in FORMATS if "opset" in FORMATS[name].takes)
            result.append(f"opset: expected together with {able}, got format={self.format}")
        if self.batch != 1 and self.dynamic not in ("auto", "off"):
            result.append(f"batch: expected together with dynamic=off, got dynamic={self.dynamic}")
        return result
