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
MIN_SCORE = 0.5
"""Least score of an object, where none is given."""


@dataclass(frozen=True, kw_only=True)
class DetectionsConfig(Config):
    """Detection: what is found."""

    max_px: MaxPx | None = None
    """Longest side at which an image is looked at; none: in the proportion to px that the training had."""
    min_score: Ratio = MIN_SCORE
    """Least score of what is drawn, and written by predict."""


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
    """Folder or JSON file to validate on; none takes the val part of data, else splits data."""
    images: Path | None = None
    """Folder that file names in the annotations begin at, inside of data or anywhere; none finds it."""
    val_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of data to validate on, where val is none and data has no val part."""
    on_error: OnError = "stop"
    """What to do about images and annotations that cannot be used: stop and name them, or skip and count them."""
    detector: DetectorKeys = field(default_factory=RCNNKeys)
    px: ImagePx | None = None
    """Shorter side of the images in pixels; none takes that of the weights, else of the model. COCO's usual: 800."""
    max_px: MaxPx | None = None
    """Longest side of the images at most; none takes 5/3 of px (COCO's usual: 1333 for 800)."""
    multi_scale: tuple[Count, ...] | None = None
    """Shorter sides to draw from while training, such as 480,640,800; none takes px alone."""
    crop: Ratio = 0.0
    """Share of images of which a random part is taken first, as DETR does for COCO (published: 0.5)."""
    jitter: Scales | None = None
    """Large-scale jitter instead: smallest and largest random scale, then a square of px is cut out or padded."""
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
            result.append(f"multi_scale: expected sides of at least 32, got {min(self.multi_scale)}")
        if self.multi_scale is not None and self.jitter is not None:
            result.append("multi_scale: expected only one of multi_scale and jitter, got both")
        if self.jitter is not None and self.jitter[0] > self.jitter[1]:
            result.append(f"jitter: expected smallest,largest, got {self.jitter[0]},{self.jitter[1]}")
        if self.crop > 0 and self.jitter is not None:
            result.append("crop: expected 0 with jitter, which takes a part itself")
        if self.max_px is not None and self.jitter is not None:
            result.append("max_px: expected none with jitter, which looks at squares of px")
        return result + self.detector.problems_with(self)


@dataclass(frozen=True, kw_only=True)
class DetectEvaluateConfig(DetectionsConfig, EvaluateConfig):
    """Evaluation of a detection."""

    images: Path | None = None
    """Folder that file names in the annotations begin at, inside of data or anywhere; none finds it."""
    on_error: OnError = "stop"
    """What to do about images and annotations that cannot be used: stop and name them, or skip and count them."""


@dataclass(frozen=True, kw_only=True)
class DetectPredictConfig(DetectionsConfig, PredictConfig):
    """Prediction of a detection."""


KEYS = TaskKeys(
    train=DetectConfig,
    evaluate=DetectEvaluateConfig,
    predict=DetectPredictConfig,
    sentence="Train a network that finds things, with boxes and masks, on images with COCO annotations.",
    example="fastitpn finetune detect data=animals detector=mask_rcnn weights=runs/pretrain",
)
