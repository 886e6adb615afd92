"""Keys of segmentation that training, evaluation and prediction share."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fastitpn.config.fields import Config

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, kw_only=True)
class MasksConfig(Config):
    """Segmentation: images and masks."""

    images: Path | None = None
    """Folder of the images, inside of data or anywhere; none finds it."""
    masks: Path | None = None
    """Folder of the masks inside data, with the same names; none finds masks, annotations or labels."""
    classes: Path | None = None
    """YAML file with names and colors of the classes; none finds classes.yaml or objectInfo150.txt in data."""
    ignore_index: Annotated[int, Field(ge=0, lt=2**16)] | None = None
    """Number in the masks of pixels to leave out; none takes that of the classes' file, else 255."""
    reduce_zero_label: bool | None = None
    """Number 0 is no class and 1 the first one, as in ADE20K; none takes what the classes' file says, else false."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do about files that cannot be used: stop and name them, or skip them and say how many."""

    def problems(self) -> list[str]:
        """Checks that the masks are inside of data."""
        result = super().problems()
        if self.masks is not None and self.masks.is_absolute():
            result.append(f"masks: expected a folder inside of data, relative to it, got {self.masks}")
        return result


@dataclass(frozen=True, kw_only=True)
class ViewsConfig(Config):
    """Segmentation: how images are looked at."""

    inference: Literal["auto", "whole", "slide"] = "auto"
    """Look at whole images or through sliding windows of px; auto: windows where an image is larger than four."""
    resize: bool | None = None
    """Bring an image's shorter side to px first; false looks at it in its own size; none does as the training did."""
    stride: Count | None = None
    """Pixels from one window to the next; none takes two thirds of px."""
    scales: tuple[Positive, ...] = (1.0,)
    """Look at each image in these sizes and average."""
    flip: bool = False
    """Also look at the mirror image."""
    window_batch: Count = 8
    """Windows in one batch."""


def given_keys(config: Config, group: type[Config]) -> list[str]:
    """The keys of a group that have another value than their default."""
    return [field.name for field in fields(group) if getattr(config, field.name) != field.default]
