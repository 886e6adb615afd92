"""The configuration of `finetune segment`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.masks import MasksConfig
from fastitpn.config.runs import (
    BelowOne,
    Count,
    ImagePx,
    NonNegative,
    Positive,
    Ratio,
    Scales,
    Schedule,
    TrainingConfig,
)


@dataclass(frozen=True, kw_only=True)
class SegmentConfig(MasksConfig, TrainingConfig):
    """Segmentation."""

    _command: ClassVar[str] = "finetune segment"

    data: Path
    """Folder with the folders images and masks, both with train and val inside or neither; or COCO's files of masks."""
    val: Path | None = None
    """The same to validate on; none takes the val part of data, else splits data."""
    val_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of data to validate on, where val is none."""
    head: Literal["linear", "upernet", "mask2former"] = "upernet"
    """What makes classes of the pyramid: linear is light, upernet slower, mask2former the slowest."""
    head_width: Count | None = None
    """Channels inside of upernet (none: twice the pyramid's; published: 768) or mask2former (none: the pyramid's)."""
    panoptic: bool = False
    """Learn each thing for itself, and stuff, from COCO's panoptic annotations; head=mask2former."""
    queries: Count = 100
    """Masks that mask2former makes of an image at most."""
    features: Literal["pyramid", "pyramid_and_trunk"] = "pyramid"
    """What the head sees: the pyramid, or each level beside the trunk's map of its stride, as published for iTPN."""
    auxiliary_weight: NonNegative = 0.4
    """Weight of the loss of upernet's auxiliary head; 0 leaves it out."""
    freeze: bool = False
    """Train the head alone: says what the pre-trained features are worth."""
    px: ImagePx | None = None
    """Side of the crops in pixels; none takes that of the weights, else of the model."""
    resize: bool = True
    """Bring an image's shorter side to px before scaling; false keeps its size, for small things in large images."""
    scale_range: Scales = (0.5, 2.0)
    """Smallest and largest random scale of an image before it is cropped."""
    max_class_ratio: Annotated[float, Field(gt=0, le=1)] = 0.75
    """A crop of which one class covers more than this share is drawn again, up to ten times."""
    photometric: bool = True
    """Distort brightness, contrast, saturation and hue."""
    schedule: Schedule = "poly"
    """How the learning rate falls: in a straight line to min_lr, as published; along a cosine; or in two steps."""
    scratch: bool = False
    """Start from random weights on purpose; else a run without weights is warned about."""
    weights_strict: bool = True
    """Refuse weights that leave a part of the trunk or pyramid at its initial values."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Factor on the learning rate from each block to the one before it; pyramid and head have all of it."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the moving average of the weights, which is then validated and saved; none is off."""
    eval_every_epochs: Positive = 5
    """Epochs from one validation to the next."""

    out: Path = Path("runs/segment")
    model: str | None = None
    """Name of the model, such as fastitpn_base; none takes that of the weights, else fastitpn_tiny."""
    batch: Count = 16
    epochs: Positive | None = 100
    warmup_epochs: NonNegative | None = 5
    lr: Positive = 1e-3
    """Highest learning rate (AdamW)."""
    min_lr: NonNegative = 0.0
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    clip_grad: Positive | None = None
    hflip: Ratio = 0.5

    def problems(self) -> list[str]:
        """Also checks the scales, the batch and what belongs to one head alone."""
        result = super().problems()
        if self.scale_range[0] > self.scale_range[1]:
            result.append(f"scale_range: expected smallest,largest, got {self.scale_range[0]},{self.scale_range[1]}")
        if self.head == "upernet" and self.batch < 2:
            result.append(f"batch: expected at least 2, since upernet normalises over the batch, got {self.batch}")
        if self.head == "linear" and self.head_width is not None:
            result.append(f"head_width: expected none for head=linear, which has no width, got {self.head_width}")
        if self.head == "mask2former" and (self.head_width or 32) % 32:
            result.append(f"head_width: expected a multiple of 32 for head=mask2former, got {self.head_width}")
        if self.panoptic and self.head != "mask2former":
            result.append(f"head: expected mask2former for panoptic=true, got {self.head}")
        if self.freeze and self.weights is None:
            result.append("freeze: expected false without weights, since random features are worth nothing, got true")
        if self.scratch and self.weights is not None:
            result.append(f"scratch: expected false where weights are given, got true and weights={self.weights}")
        return result
