"""Keys that the tasks share: a task's own configurations are subclasses of these."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.types import Count, Decay, Factor, Fit, ImagePx, Milestone, NonNegative, Positive, Schedule, Share
from fastitpn.config.values import show
from fastitpn.data.fold import Fold, HeldOut
from fastitpn.data.images.keys import ImageKeys
from fastitpn.training.config import AccelerationName, DeviceConfig, TrainingConfig

ClassWeights = Literal["balanced"] | Path | None
"""What classes weigh in the loss: all alike, as a file of names and weights says, or as they are."""


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainingConfig):
    """Fine-tuning."""

    data: Path
    """Labelled images to learn from."""
    val: Path | None = None
    """Labelled images to validate on, as data; none splits them off data."""
    val_ratio: Share = 0.1
    """Share of data to validate on, where val is none."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Trainings that are each validated on another part of data, and then summed up; none trains once."""
    fold: Count | None = None
    """Number of the only fold to train, such as on a machine of its own; none trains all of them."""
    px: ImagePx | None = None
    """Side of the input in pixels; none takes that of the weights, else of the model."""
    scratch: bool = False
    """Start from random weights on purpose; else a run without weights is warned about."""
    weights_strict: bool = True
    """Refuse weights that fill only a part of trunk and pyramid, or of a published head; false takes what fits."""
    freeze: Literal["trunk", "all_but_head"] | bool = False
    """What keeps its start weights: trunk, or all_but_head (a linear probe, as does true); false trains everything."""
    lora: Count | None = None
    """Rank of the changes that layers of the trunk learn in place of all their weights (LoRA, by peft); none is off."""
    layer_decay: Factor = 0.9
    """Factor on the learning rate from each block to the one before it; pyramid and head have all of it."""
    schedule: Schedule = "cosine"
    """How the learning rate falls: cosine, poly (a straight line), step (to a tenth at each milestone) or constant."""
    milestones: tuple[Milestone, ...] | None = None
    """Shares of the training at which schedule=step drops, such as 27/32,15/16; none takes 3/4,11/12."""
    ema: Decay | None = None
    """Decay of the moving average of the weights, which is then validated and saved; none is off."""
    eval_every_epochs: Positive = 5
    """Epochs from one validation to the next."""
    patience: Count | None = None
    """Validations in a row without a better value after which the training ends early; none trains to the end."""
    model: str | None = None
    """Name of the model, such as fastitpn_base; none takes that of the weights, else fastitpn_tiny."""
    defaults: Literal["auto", "fixed"] = "auto"
    """Keys that are not given: auto fits some to few images, short runs and CPUs and says so; fixed is as listed."""

    @property
    def held_out(self) -> HeldOut:
        """What is validated on where data has no such part: a share, or one of the folds."""
        return self.val_ratio if self.folds is None or self.fold is None else Fold(self.fold, self.folds)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.freeze is True:
            object.__setattr__(self, "freeze", "all_but_head")

    def problems(self) -> list[str]:
        """Also that weights and scratch are not asked for at once."""
        result = super().problems()
        if self.freeze and self.weights is None:
            why = "since random features are worth nothing"
            result.append(f"freeze: expected false without weights, {why}, got {self.freeze}")
        if self.milestones is not None and self.schedule != "step":
            result.append(f"milestones: expected none with schedule={self.schedule}, which drops nowhere")
        if self.milestones is not None and list(self.milestones) != sorted(set(self.milestones)):
            result.append(f"milestones: expected each above the one before it, got {show(self.milestones)}")
        if self.lora is not None and (self.weights is None or self.freeze or self.strategy == "fsdp"):
            result.append(f"lora: expected none without weights, with freeze or with strategy=fsdp, got {self.lora}")
        if self.fold is not None and self.fold > (self.folds or 0):
            result.append(f"fold: expected at most folds, which is {show(self.folds)}, got {self.fold}")
        if self.folds is not None and self.val is not None:
            result.append(f"folds: expected none with val, since each fold holds images of data out, got {self.folds}")
        if self.folds is not None and self.fold is None and self.devices * self.nodes > 1:
            result.append(f"folds: expected one device, or fold=1 to fold={self.folds} in commands of their own")
        if self.scratch and self.weights is not None:
            result.append(f"scratch: expected false where weights are given, got true and weights={self.weights}")
        return result


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(DeviceConfig):
    """Evaluation."""

    _command: ClassVar[str] = "evaluate"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint", "data")

    checkpoint: Path
    """Checkpoint file, run folder (its best checkpoint) or exported folder, which its own runtime runs."""
    data: Path
    """As for finetune of the checkpoint's task: classes as folders, images with masks, or with COCO annotations."""
    split: Literal["train", "val", "test"] | None = None
    """Part of data to evaluate on; none takes val if there is one, else test, else all."""
    px: ImagePx | None = None
    """Side of the input in pixels (detection: its shorter side); none takes the checkpoint's."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none takes the checkpoint's own."""
    fit: Fit = "exact"
    """Of an exported folder, images of another size than its graph takes: an error, or both sides are stretched."""
    batch: Count = 64
    """Images in one batch at most: those of one size together, fewer where they are large or memory runs out."""
    compile: bool = False
    """Compile the network with torch.compile, for each size of batches that comes again: slow to start, then faster."""
    out: Path = Path("runs/evaluate")
    """Folder for the figures."""
    image: ImageKeys = ImageKeys()


@dataclass(frozen=True, kw_only=True)
class PredictConfig(DeviceConfig):
    """Prediction."""

    _command: ClassVar[str] = "predict"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint", "source")

    checkpoint: Path
    """Checkpoint file, run folder (its best checkpoint) or exported folder, which its own runtime runs."""
    source: Path
    """An image, a video, a folder of them, or a pattern in quotes such as 'photos/**/*.jpg'; frame2 before frame10."""
    out: Path = Path("runs/predict")
    """Folder for the results."""
    px: ImagePx | None = None
    """Side of the input in pixels (detection: its shorter side); none takes the checkpoint's."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none takes the checkpoint's own."""
    fit: Fit = "exact"
    """Of an exported folder, images of another size than its graph takes: an error, or both sides are stretched."""
    batch: Count = 64
    """Images in one batch at most: those of one size together, fewer where they are large or memory runs out."""
    compile: bool = False
    """Compile the network with torch.compile, for each size of batches that comes again: slow to start, then faster."""
    reuse: bool = False
    """In videos, compute what changed from frame to frame alone: for cameras that stand still."""
    reuse_threshold: NonNegative = 0.1
    """Tokens of stage 3 are kept where their input changed by at most this share; 0 keeps what is exact alone."""
    image: ImageKeys = ImageKeys()

    def problems(self) -> list[str]:
        """Also that reuse and compile are not asked for at once."""
        both = self.reuse and self.compile
        return [*super().problems(), *["reuse: expected false with compile=true, got true"][: int(both)]]
