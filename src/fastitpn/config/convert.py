"""The configuration of `data convert`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from fastitpn.config.fields import Config


@dataclass(frozen=True, kw_only=True)
class DataConvertConfig(Config):
    """Conversion."""

    _command: ClassVar[str] = "data convert"

    data: Path
    """Folder of a Pascal VOC or YOLO data set, or of another registered format."""
    form: str | None = None
    """Name of the format that data is in, such as voc or yolo; none finds it."""
    with_masks: bool | None = None
    """Use only images in which every object has a mask (true), or only boxes (false); none uses all of them."""
    copy: bool = False
    """Copy the images to out; else the annotations refer to the images in data."""
    on_error: Literal["stop", "skip"] = "stop"
    """For images and boxes that cannot be used: stop and name them, or leave them out and count them."""
    out: Path = Path("runs/coco")
    """Folder for annotations_train.json, annotations_val.json and so on: data for finetune detect."""
