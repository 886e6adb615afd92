"""Keys of classification."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastitpn.config.types import AutoPositive, BelowOne, Count, Decay, Factor, NonNegative, Positive, Ratio, Scales
from fastitpn.tasks.keys import ClassWeights, EvaluateConfig, FinetuneConfig, PredictConfig
from fastitpn.tasks.registry import TaskKeys
from fastitpn.training.config import CropsConfig


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig(CropsConfig, FinetuneConfig):
    """Classification."""

    _command: ClassVar[str] = "finetune classify"

    data: Path
    """Folder with a sub-folder of images for each class, or a CSV file."""
    multilabel: bool = False
    """Any number of labels for each image, from a CSV file, instead of one class each."""
    weights_strict: bool = True
    """Refuse weights that leave a part of the model, other than the head, at its initial values."""
    layer_decay: Factor = 0.8
    """Factor on the learning rate from each block to the one before it."""
    label_smoothing: BelowOne | None = None
    """Share of the label spread over all classes; none is 0.1, with multilabel 0."""
    class_weights: ClassWeights = None
    """Weight of classes in the loss: balanced (all equal), a YAML file of names and weights, or none (by images)."""
    mixup: NonNegative | None = None
    """Alpha of mixup, which blends two images; 0 is off, and none is 0.8, with multilabel 0."""
    cutmix: NonNegative | None = None
    """Alpha of cutmix, which pastes a part of one image into another; 0 is off, and none is 1, with multilabel 0."""
    mixup_switch: Ratio = 0.5
    """Chance of cutmix rather than mixup, where both are on."""
    random_erasing: Ratio = 0.25
    """Chance to erase a rectangle of the image."""
    rand_augment: str | None = "rand-m9-mstd0.5-inc1"
    """RandAugment as timm writes it; none is off."""
    ema: Decay | None = 0.9999
    """Decay of the moving average of the weights, which is then validated and saved; none is off."""
    eval_every_epochs: Positive = 1
    """Epochs from one validation to the next."""

    out: Path = Path("runs/classify")
    epochs: Positive | None = 100
    warmup_epochs: NonNegative | None = 5
    lr: AutoPositive = 1e-3
    min_lr: NonNegative = 1e-6
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    clip_grad: Positive | None = None
    crop_scale: Scales = (0.08, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, published in (("label_smoothing", 0.1), ("mixup", 0.8), ("cutmix", 1.0)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, 0.0 if self.multilabel else published)

    def problems(self) -> list[str]:
        """Also that images can be paired for mixing."""
        result = super().problems()
        if self.batch % 2 and (self.mixup or self.cutmix) and not self.multilabel:
            result.append(f"batch: expected an even number, since mixup and cutmix pair images, got {self.batch}")
        if self.multilabel and self.class_weights is not None:
            result.append(f"class_weights: expected none with multilabel=true, got {self.class_weights}")
        return result


@dataclass(frozen=True, kw_only=True)
class ClassifyPredictConfig(PredictConfig):
    """Classification: predictions."""

    top_k: Count = 5
    """Classes to name for each image, the most probable first; with multilabel beside all predicted labels."""


KEYS = TaskKeys(
    train=ClassifyConfig,
    evaluate=EvaluateConfig,
    predict=ClassifyPredictConfig,
    sentence="Train a classifier on a folder with a sub-folder of images for each class.",
    example="fastitpn finetune classify data=flowers weights=runs/pretrain",
)
