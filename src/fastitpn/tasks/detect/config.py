"""Keys of detection."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from fastitpn.config.fields import Config
from fastitpn.config.types import (
    AutoCount,
    AutoPositive,
    BelowOne,
    Count,
    ImagePx,
    NonNegative,
    OnError,
    Positive,
    Ratio,
    Scales,
)
from fastitpn.tasks.detect.heads.keys import DetectorKeys
from fastitpn.tasks.detect.heads.rcnn import RCNNKeys
from fastitpn.tasks.keys import EvaluateConfig, FinetuneConfig, PredictConfig
from fastitpn.tasks.registry import TaskKeys

MaxPx = Annotated[int, Field(ge=32)]
_PATCH_PX = 16
MIN_SCORE = 0.5
"""Least score of an object, where none is given."""


@dataclass(frozen=True, kw_only=True)
class DetectionsConfig(Config):
    """Detection: predictions."""

    max_px: MaxPx | None = None
    """Image size of the longer edge, at most; none keeps the training's proportion to px."""
    min_score: Ratio = MIN_SCORE
    """Lowest score of a detection that is drawn, and written by predict."""
    tile: Count | None = None
    """Also detect in tiles with this edge in pixels of the image, for small objects in large images; none is off."""
    overlap: BelowOne | None = None
    """Share of a tile that the next tile covers too, as large as an object; none uses 0.25."""
    scales: tuple[Positive, ...] = (1.0,)
    """Detect at these image sizes, as factors of px, and merge the detections."""
    flip: bool = False
    """Also detect in the mirror image."""

    def problems(self) -> list[str]:
        """Also that the tiles are large enough."""
        result = super().problems()
        if self.tile is not None and self.tile < _PATCH_PX:
            result.append(f"tile: expected at least {_PATCH_PX}, the edge of a patch in pixels, got {self.tile}")
        if self.overlap is not None and self.tile is None:
            result.append(f"overlap: expected none without tile, got {self.overlap:g}")
        return result


@dataclass(frozen=True, kw_only=True)
class DetectConfig(FinetuneConfig):
    """Detection."""

    _command: ClassVar[str] = "finetune detect"
    _aliases: ClassVar[dict[str, str]] = {
        "anchor_scale": "detector.anchor_scale",
        "regions": "detector.regions",
        "queries": "detector.queries",
        "layers": "detector.layers",
    }

    data: Path
    """Folder of images with annotations in COCO's format (or its JSON file), Pascal VOC or YOLO."""
    val: Path | None = None
    """Folder or JSON file to validate on; none uses the val part of data, else splits data."""
    images: Path | None = None
    """Folder of the file names in the annotations, inside of data or anywhere; none finds it."""
    val_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of data to validate on, if val is none and data has no val part."""
    on_error: OnError = "stop"
    """For images and annotations that cannot be used: stop and name them, or skip and count them."""
    detector: DetectorKeys = field(default_factory=RCNNKeys)
    px: ImagePx | None = None
    """Image size in pixels, of the shorter edge (COCO: 800); none uses that of the weights, else of the model."""
    max_px: MaxPx | None = None
    """Image size of the longer edge, at most; none uses 5/3 of px (COCO's usual: 1333 for 800)."""
    multi_scale: tuple[Count, ...] | None = None
    """Image sizes to draw from while training, such as 480,640,800; none uses only px."""
    crop: Ratio = 0.0
    """Share of images that are cropped at random first, as DETR does for COCO (published: 0.5)."""
    jitter: Scales | None = None
    """Large-scale jitter instead: smallest and largest random scale, then a square of px is cropped or padded."""
    photometric: bool = False
    """Distort brightness, contrast, saturation and hue; the published recipes do not."""

    out: Path = Path("runs/detect")
    batch: AutoCount = 8
    epochs: Positive | None = 50
    warmup_epochs: NonNegative | None = 2
    lr: AutoPositive = 2e-4
    """Highest learning rate (AdamW); auto is the published one for the images of a step."""
    min_lr: NonNegative = 0.0
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    clip_grad: Positive | None = 1.0
    hflip: Ratio = 0.5

    def problems(self) -> list[str]:
        """Also checks the sizes, and what the detector asks of the other keys."""
        result = super().problems()
        if self.max_px is not None and self.px is not None and self.max_px < self.px:
            result.append(f"max_px: expected at least px, which is {self.px}, got {self.max_px}")
        if self.multi_scale is not None and min(self.multi_scale) < 32:
            result.append(f"multi_scale: expected image sizes of at least 32, got {min(self.multi_scale)}")
        if self.multi_scale is not None and self.jitter is not None:
            result.append("multi_scale: expected only one of multi_scale and jitter, got both")
        if self.jitter is not None and self.jitter[0] > self.jitter[1]:
            result.append(f"jitter: expected smallest,largest, got {self.jitter[0]},{self.jitter[1]}")
        if self.crop > 0 and self.jitter is not None:
            result.append("crop: expected 0 with jitter, which crops too")
        if self.max_px is not None and self.jitter is not None:
            result.append("max_px: expected none with jitter, which looks at squares of px")
        return result + self.detector.problems_with(self)


@dataclass(frozen=True, kw_only=True)
class DetectEvaluateConfig(DetectionsConfig, EvaluateConfig):
    """Evaluation of a detection."""

    images: Path | None = None
    """Folder of the file names in the annotations, inside of data or anywhere; none finds it."""
    on_error: OnError = "stop"
    """For images and annotations that cannot be used: stop and name them, or skip and count them."""


@dataclass(frozen=True, kw_only=True)
class DetectPredictConfig(DetectionsConfig, PredictConfig):
    """Prediction of a detection."""

    track: bool = False
    """In videos, follow each object from frame to frame and give it a number, by ByteTrack."""


KEYS = TaskKeys(
    train=DetectConfig,
    evaluate=DetectEvaluateConfig,
    predict=DetectPredictConfig,
    sentence="Train a detector, with boxes and masks, on images with annotations.",
    example="fastitpn finetune detect data=animals detector=mask_rcnn weights=runs/pretrain",
)
