"""The configuration of `fastitpn doctor`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from fastitpn.config.fields import Config
from fastitpn.data.images.keys import ImageKeys
from fastitpn.data.segmentation.keys import MaskKeys


@dataclass(frozen=True, kw_only=True)
class DoctorConfig(Config):
    """Data set."""

    _command: ClassVar[str] = "doctor"
    _positional: ClassVar[tuple[str, ...]] = ("data",)

    data: Path
    """Folder or file, as for pretrain and finetune: images, class folders, images with masks, COCO annotations (with
    task=segment their masks), COCO panoptic annotations, Pascal VOC or YOLO. Files of a run, a checkpoint, an export or
    stored features are compared with their checksums."""
    val: Path | None = None
    """Data to validate on, of the same form; none uses a part of data, if it has parts."""
    task: str | None = None
    """Task of the data; none detects it."""
    detector: str | None = None
    """With boxes: the detector to train, which may need masks; none lists missing or wrong masks as notes."""
    images: Path | None = None
    """With masks: folder of the images inside data. With COCO annotations: folder of the images. None finds it."""
    masks: MaskKeys = MaskKeys()
    classes: Path | None = None
    """With masks: file with names of the classes; none finds classes.yaml, labelmap.txt and others."""
    ignore_index: Annotated[int, Field(ge=0, lt=2**16)] | None = None
    """Number in the masks of pixels to leave out; none uses that of the class file, else 255."""
    reduce_zero_label: bool | None = None
    """Number 0 in the masks is no class; none uses the class file's, else false."""
    similar: Annotated[float, Field(gt=0.9, lt=1)] | None = 0.985
    """Cosine of two thumbnails from which images are near-duplicates; none searches only for identical files."""
    strict: bool = False
    """Count notes, such as nearly equal images within a part, as problems too."""
    out: Path = Path("runs/doctor")
    """Folder for the findings and the report."""
    image: ImageKeys = ImageKeys()
