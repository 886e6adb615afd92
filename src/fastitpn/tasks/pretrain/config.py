"""The configurations of pre-training and of what prepares it. The string under a field is its line in `--help`."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fastitpn.config.fields import Config, fields_of, given_keys
from fastitpn.config.types import AutoPositive, BelowOne, Count, ImagePx, NonNegative, Positive, Scales
from fastitpn.config.values import show
from fastitpn.imagenet import CROP_ASPECT
from fastitpn.models.architecture import DEFAULT_MODEL
from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.pretraining.teachers.keys import TeacherKeys
from fastitpn.pretraining.teachers.pixel import PixelKeys
from fastitpn.pretraining.teachers.several import SeveralKeys
from fastitpn.tasks.registry import TaskKeys
from fastitpn.training.config import CropsConfig, TrainingConfig


@dataclass(frozen=True, kw_only=True)
class MaskConfig(Config):
    """Mask."""

    _shorthand: ClassVar[str | None] = "ratio"

    kind: Literal["block", "random"] = "block"
    """Hide rectangles (published), or single patches, always exactly the share of ratio."""
    ratio: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of the patches to hide, 0.383 (75 of 196) in the published runs, 0 for none; mask=RATIO for short."""
    exact: bool = False
    """Hide exactly this share in every image; else the last block may leave a few patches visible."""
    min_block: Count = 16
    """Fewest patches in one block, on a grid of 14x14 or more; in proportion on smaller ones."""
    max_block: Count | None = None
    """Most patches in one block; none is as many as are hidden in all."""
    min_aspect: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Flattest block: its short edge over its long edge."""


@dataclass(frozen=True, kw_only=True)
class ProbeConfig(Config):
    """Probe."""

    _shorthand: ClassVar[str | None] = "data"

    data: Path | None = None
    """A few labelled images, as for finetune classify; a kNN probe then measures the features."""
    val_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of these images to classify by the others, unless data has train and val inside."""
    every_epochs: Positive = 10
    """Epochs from one probe to the next; another probe follows at the end."""
    neighbours: Count = 20
    """Neighbours that vote."""
    px: ImagePx | None = None
    """Image size in pixels; none uses that of the pre-training."""


@dataclass(frozen=True, kw_only=True)
class GramConfig(Config):
    """Gram term."""

    _shorthand: ClassVar[str | None] = "weight"

    weight: NonNegative = 0.0
    """Weight of a loss that keeps the similarity of patches within an image (DINOv3), for long runs; 0 is off."""
    anchor: Literal["snapshot", "teacher"] = "snapshot"
    """Anchor of the patches: an earlier state of the student's trunk, or the teacher's targets."""
    every: Count = 10_000
    """Steps from one snapshot to the next. The loss starts at the first, or at once if weights are given."""


PIXEL_MASKS: dict[str, Any] = {"kind": "random", "ratio": 0.75}
"""As published for the pre-training on pixels."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(CropsConfig, TrainingConfig):
    """Pre-training."""

    _command: ClassVar[str] = "pretrain"

    data: Path
    """Images without labels: a folder, a list (.txt, .csv), tar shards, or a Hugging Face data set on disk."""
    px: ImagePx | tuple[ImagePx, ...] = 224
    """Image size of the student in pixels; of several, such as 192,224,256, each step has one, drawn by the seed."""
    crop_aspect: Scales = CROP_ASPECT
    """Range of a crop's width over its height: the square input is a stretched crop; 1,1 stretches nothing."""
    teacher: TeacherKeys = EmaKeys()
    mask: MaskConfig = MaskConfig()
    objective: Literal["merged", "per_level", "trunk"] = "merged"
    """Prediction from the merged levels (published), from each level, or from the trunk without a pyramid."""
    level_weights: tuple[NonNegative, NonNegative, NonNegative] = (1.0, 1.0, 1.0)
    """With per_level: weights of the losses at strides 4, 8, 16."""
    auxiliary: NonNegative = 0.0
    """Weight of a second prediction from deep in the trunk, as in the first iTPN; 0 leaves it out."""
    predictor: Literal["linear", "mlp"] = "linear"
    """Layer that predicts: linear (published), or with a hidden layer (better with ema)."""
    loss: Literal["cosine", "smooth_l1"] = "cosine"
    """Loss between prediction and target: negative cosine or smooth L1."""
    loss_on: Literal["masked", "all"] = "masked"
    """Patches that count in the loss."""
    gram: GramConfig = GramConfig()
    registers: Annotated[int, Field(ge=0)] = 0
    """Learned tokens beside the patches, which keep global facts out of patches in large models; published: 0."""
    norm: Literal["end", "trunk_and_end"] = "end"
    """Place of the norm: before the prediction, or also between trunk and pyramid."""
    color_jitter: NonNegative = 0.0
    """Strength of random brightness, contrast and saturation."""
    pictures: bool = True
    """Show images, masks, predictions and the levels of the pyramid in the report."""
    probe: ProbeConfig = ProbeConfig()

    out: Path = Path("runs/pretrain")
    model: str = DEFAULT_MODEL
    epochs: Positive | None = 300
    warmup_epochs: NonNegative | None = 10
    lr: AutoPositive = 1.5e-3
    min_lr: NonNegative = 1e-5
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.98)
    clip_grad: Positive | None = 3.0
    crop_scale: Scales = (0.2, 1.0)

    def settled(self) -> "PretrainConfig":
        """With the masks of a teacher that has some of its own, where none were asked for."""
        if not isinstance(self.teacher, PixelKeys):
            return self
        asked = {key.partition(".")[2] for key in given_keys(self)}
        masks = {key: value for key, value in PIXEL_MASKS.items() if key not in asked}
        return replace(self, mask=replace(self.mask, **masks))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the student's input in pixels, the largest last; that is the model's own."""
        return (self.px,) if isinstance(self.px, int) else tuple(sorted(self.px))

    @property
    def model_px(self) -> int:
        """The largest side."""
        return self.sizes[-1]

    def problems(self) -> list[str]:
        """Also that the keys of one objective are not given with another."""
        result = super().problems()
        if self.objective != "per_level" and self.level_weights != (1.0, 1.0, 1.0):
            result.append(f"level_weights: expected together with objective=per_level, got {self.objective}")
        if self.crop_aspect[0] > self.crop_aspect[1]:
            result.append(f"crop_aspect: expected smallest,largest, got {show(self.crop_aspect)}")
        if self.mask.ratio == 0 and self.loss_on == "masked":
            result.append("mask.ratio: expected above 0 with loss_on=masked, or loss_on=all, since nothing is hidden")
        if not any(self.level_weights):
            result.append("level_weights: expected a weight above 0 for one level at least, got 0,0,0")
        if isinstance(self.teacher, SeveralKeys):
            result += self._unused(("objective", "norm", "auxiliary"), "several teachers, which have teacher.levels")
        elif isinstance(self.teacher, PixelKeys):
            unused = ("objective", "norm", "auxiliary", "predictor", "loss", "loss_on", "acceleration", "registers")
            result += self._unused(unused, "teacher=pixel, which has a decoder and a loss of its own")
            if self.gram.weight:
                result.append(f"gram.weight: expected 0 with teacher=pixel, got {show(self.gram.weight)}")
            if self.mask.kind == "block" and not self.mask.exact and "mask.kind" in given_keys(self):
                result.append("mask.exact: expected true with teacher=pixel and mask.kind=block, got false")
        elif self.objective != "merged" and self.norm != "end":
            result.append(f"norm: expected end with objective={self.objective}, got {self.norm}")
        return result

    def _unused(self, keys: Iterable[str], beside: str) -> list[str]:
        fields = fields_of(type(self))
        return [
            f"{key}: expected {show(fields[key].default)} with {beside}, got {show(getattr(self, key))}"
            for key in keys
            if getattr(self, key) != fields[key].default
        ]


KEYS = TaskKeys(
    train=PretrainConfig,
    sentence="Pre-train on images without labels: predict a teacher's features of hidden patches.",
    example="fastitpn pretrain data=photos px=224 epochs=300",
)
