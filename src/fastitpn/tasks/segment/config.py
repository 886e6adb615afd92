"""Keys of segmentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.fields import Config
from fastitpn.config.types import (
    AutoCount,
    AutoPositive,
    BelowOne,
    Count,
    Factor,
    ImagePx,
    NonNegative,
    OnError,
    Positive,
    Ratio,
    Scales,
    Schedule,
)
from fastitpn.data.segmentation.keys import MaskKeys
from fastitpn.tasks.keys import ClassWeights, EvaluateConfig, FinetuneConfig, PredictConfig
from fastitpn.tasks.registry import TaskKeys
from fastitpn.tasks.segment.heads.registry import HEADS, SegmentHeadKeys
from fastitpn.tasks.segment.heads.upernet import UPerNetKeys


@dataclass(frozen=True, kw_only=True)
class MasksConfig(Config):
    """Segmentation: images and masks."""

    images: Path | None = None
    """Folder of the images, inside of data or anywhere; none finds it."""
    masks: MaskKeys = MaskKeys()
    classes: Path | None = None
    """YAML file with names and colors of the classes; none finds classes.yaml, labelmap.txt and others."""
    ignore_index: Annotated[int, Field(ge=0, lt=2**16)] | None = None
    """Number in the masks of pixels to leave out; none uses that of the class file, else 255."""
    reduce_zero_label: bool | None = None
    """Number 0 is no class and 1 the first one, as in ADE20K; none uses the class file's, else false."""
    on_error: OnError = "stop"
    """For files that cannot be used: stop and name them, or skip and count them."""

    def problems(self) -> list[str]:
        """Checks that the masks are inside of data."""
        result = super().problems()
        if self.masks.folder is not None and self.masks.folder.is_absolute():
            result.append(f"masks: expected a folder inside of data, relative to it, got {self.masks.folder}")
        return result


@dataclass(frozen=True, kw_only=True)
class TestTimeViewsConfig(Config):
    """Segmentation: image sizes and windows."""

    __test__ = False  # pytest takes it for tests, by its name

    inference: Literal["auto", "whole", "slide"] = "auto"
    """Whole images, or sliding windows of px; auto: windows if an image is larger than four of them."""
    resize: bool | None = None
    """Resize the shorter edge to px first; false keeps the size of the image; none does as the training did."""
    stride: Count | None = None
    """Pixels from one window to the next; none uses two thirds of px."""
    scales: tuple[Positive, ...] = (1.0,)
    """Average over each image resized by these factors."""
    flip: bool = False
    """Average with the mirrored image."""
    window_batch: Count = 8
    """Windows in one batch, or as many pixels of whole images of one size."""


@dataclass(frozen=True, kw_only=True)
class SegmentConfig(MasksConfig, FinetuneConfig):
    """Segmentation."""

    _command: ClassVar[str] = "finetune segment"
    _aliases: ClassVar[Mapping[str, str]] = {
        "head_width": "head.width",
        "queries": "head.queries",
        "auxiliary_weight": "head.auxiliary_weight",
    }

    data: Path
    """Folder with the folders images and masks, both with train and val inside or neither; or COCO's files of masks."""
    val: Path | None = None
    """Validation images with masks, in a form as data; none uses the val part of data, else splits data."""
    head: SegmentHeadKeys = UPerNetKeys()
    panoptic: bool = False
    """Learn things and stuff as segments, from COCO's panoptic annotations; head=mask2former."""
    features: Literal["pyramid", "pyramid_and_trunk"] = "pyramid"
    """Input of the head: the pyramid, or each level with the trunk's map of its stride, as published for iTPN."""
    px: ImagePx | None = None
    """Image size of the crops in pixels; none uses that of the weights, else of the model."""
    resize: bool = True
    """Resize the shorter edge to px before scaling; false keeps the size, for small objects in large images."""
    scale_range: Scales = (0.5, 2.0)
    """Smallest and largest random scale of an image before it is cropped."""
    max_class_ratio: Factor = 0.75
    """A crop is drawn again, up to ten times, if a class covers more than this share of it."""
    class_weights: ClassWeights = None
    """Weight of classes in the loss: balanced (all equal), a YAML file of names and weights, or none (by pixels)."""
    photometric: bool = True
    """Distort brightness, contrast, saturation and hue."""
    schedule: Schedule = "poly"
    """How the learning rate falls: in a line to min_lr (poly, published), cosine, step (at milestones) or constant."""

    out: Path = Path("runs/segment")
    batch: AutoCount = 16
    epochs: Positive | None = 100
    warmup_epochs: NonNegative | None = 5
    lr: AutoPositive = 1e-3
    """Highest learning rate (AdamW); auto is the published one for the images of a step."""
    min_lr: NonNegative = 0.0
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    clip_grad: Positive | None = None
    hflip: Ratio = 0.5

    def problems(self) -> list[str]:
        """Also checks the scales, and what the head cannot do."""
        result = super().problems()
        if self.scale_range[0] > self.scale_range[1]:
            result.append(f"scale_range: expected smallest,largest, got {self.scale_range[0]},{self.scale_range[1]}")
        result += self.head.problems_with(self)
        if self.panoptic and not self.head.tells_things_apart:
            heads = " or ".join(name for name in HEADS if HEADS[name].keys.tells_things_apart)
            result.append(f"head: expected {heads} for panoptic=true, got {self.head.name}")
        if self.class_weights is not None and not self.head.weighs_classes:
            got = f"expected none with head={self.head.name}, which learns one mask for each class of an image"
            result.append(f"class_weights: {got}, got {self.class_weights}")
        return result


@dataclass(frozen=True, kw_only=True)
class SegmentEvaluateConfig(MasksConfig, TestTimeViewsConfig, EvaluateConfig):
    """Evaluation of a segmentation."""


@dataclass(frozen=True, kw_only=True)
class SegmentPredictConfig(TestTimeViewsConfig, PredictConfig):
    """Prediction of a segmentation."""


KEYS = TaskKeys(
    train=SegmentConfig,
    evaluate=SegmentEvaluateConfig,
    predict=SegmentPredictConfig,
    sentence="Train a segmentation network, which gives each pixel a class, on images with masks.",
    example="fastitpn finetune segment data=streets weights=runs/pretrain",
)
