"""Keys of detection."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.fields import Config
from fastitpn.config.types import BelowOne, Count, ImagePx, NonNegative, OnError, Positive, Ratio, Scales, Schedule
from fastitpn.tasks.keys import EvaluateConfig, FinetuneConfig, PredictConfig


@dataclass(frozen=True, kw_only=True)
class DetectionsConfig(Config):
    """Detection: what is found."""

    max_px: Annotated[int, Field(ge=32)] | None = None
    """Longest side at which an image is looked at; none: in the proportion to px that the training had."""
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Least score of what is drawn, and written by predict."""


@dataclass(frozen=True, kw_only=True)
class DetectConfig(FinetuneConfig):
    """Detection."""

    _command: ClassVar[str] = "finetune detect"

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
    detector: Literal["mask_rcnn", "faster_rcnn", "cascade_mask_rcnn", "dino", "mask2former"] = "mask_rcnn"
    """What finds things on the pyramid; mask_rcnn, cascade_mask_rcnn and mask2former need masks, and give them."""
    anchor_scale: Positive | None = None
    """Side of the R-CNNs' anchors in strides of their level; none takes px / 100, from 4 to 8 (published: 8 at 800)."""
    regions: Count | None = None
    """Regions of an image that the R-CNNs learn from; none takes 0.64 px, from 64 to 512 (published: 512 at 800)."""
    queries: Count | None = None
    """Things that dino or mask2former find in an image at most; none takes 300 or 100 (published: 900, 100)."""
    layers: Count | None = None
    """Layers of the encoder, and of the decoder; none takes 6 and 6 for dino, 6 and 9 for mask2former, as published."""
    px: ImagePx | None = None
    """Shorter side of the images in pixels; none takes that of the weights, else of the model. COCO's usual: 800."""
    max_px: Annotated[int, Field(ge=32)] | None = None
    """Longest side of the images at most; none takes 5/3 of px (COCO's usual: 1333 for 800)."""
    multi_scale: tuple[Count, ...] | None = None
    """Shorter sides to draw from while training, such as 480,640,800; none takes px alone."""
    jitter: Scales | None = None
    """Large-scale jitter instead: smallest and largest random scale, then a square of px is cut out or padded."""
    photometric: bool = False
    """Distort brightness, contrast, saturation and hue; the published recipes do not."""
    schedule: Schedule = "cosine"
    """How the learning rate falls: along a cosine, in a straight line, or to 1/10 at 3/4 and 1/100 at 11/12."""

    out: Path = Path("runs/detect")
    batch: Count = 8
    epochs: Positive | None = 50
    warmup_epochs: NonNegative | None = 2
    lr: Positive = 2e-4
    """Highest learning rate (AdamW)."""
    min_lr: NonNegative = 0.0
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    clip_grad: Positive | None = 1.0
    hflip: Ratio = 0.5

    def problems(self) -> list[str]:
        """Also checks the sizes and what belongs to one detector alone."""
        result = super().problems()
        if self.max_px is not None and self.px is not None and self.max_px < self.px:
            result.append(f"max_px: expected at least px, which is {self.px}, got {self.max_px}")
        if self.multi_scale is not None and min(self.multi_scale) < 32:
            result.append(f"multi_scale: expected sides of at least 32, got {min(self.multi_scale)}")
        if self.multi_scale is not None and self.jitter is not None:
            result.append("multi_scale: expected only one of multi_scale and jitter, got both")
        if self.jitter is not None and self.jitter[0] > self.jitter[1]:
            result.append(f"jitter: expected smallest,largest, got {self.jitter[0]},{self.jitter[1]}")
        for name in ("anchor_scale", "regions") if self.detector in ("dino", "mask2former") else ("queries", "layers"):
            if getattr(self, name) is not None:
                result.append(f"{name}: expected none, since detector={self.detector} makes no use of it")
        if self.max_px is not None and self.jitter is not None:
            result.append("max_px: expected none with jitter, which looks at squares of px")
        return result


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
