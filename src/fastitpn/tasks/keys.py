"""Keys that the tasks share: a task's own configurations are subclasses of these."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.types import (
    Count,
    Decay,
    Factor,
    Fit,
    ImagePx,
    Milestone,
    NonNegative,
    Positive,
    Schedule,
    Share,
    Stream,
)
from fastitpn.config.values import OneOf, show
from fastitpn.data.fold import Fold, HeldOut
from fastitpn.data.images.keys import ImageKeys
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.training.config import AccelerationName, DeviceConfig, TrainingConfig

ResultForm = Literal["csv", "coco", "yolo", "label_studio", "cvat", "crops"]
"""What else `predict` writes; each task has some of them."""
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
    """Share of data to validate on, if val is none."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Trainings that are each validated on another part of data, and then summed up; none trains once."""
    fold: Count | None = None
    """Number of the only fold to train, such as on a machine of its own; none trains all of them."""
    px: ImagePx | None = None
    """Image size in pixels; none uses that of the weights, else of the model."""
    scratch: bool = False
    """Start from random weights on purpose, without the warning about a run without weights."""
    weights_strict: bool = True
    """Refuse weights that fill only a part of trunk and pyramid, or of a published head; false loads what fits."""
    freeze: Literal["trunk", "all_but_head"] | bool = False
    """Part that keeps its start weights: trunk, or all_but_head (linear probe; also true); false trains everything."""
    lora: Count | None = None
    """Rank of the changes that layers of the trunk learn in place of all their weights (LoRA, by peft); none is off."""
    layer_decay: Factor = 0.9
    """Factor on the learning rate from each block to the one before it; pyramid and head have all of it."""
    schedule: Schedule = "cosine"
    """Decay of the learning rate: cosine, poly (linear), step (to a tenth at each milestone) or constant."""
    milestones: tuple[Milestone, ...] | None = None
    """Shares of the training at which schedule=step drops, such as 27/32,15/16; none uses 3/4,11/12."""
    ema: Decay | None = None
    """Decay of the moving average of the weights, which is then validated and saved; none is off."""
    eval_every_epochs: Positive = 5
    """Epochs from one validation to the next."""
    patience: Count | None = None
    """Validations in a row without a better value, after which the training ends; none trains to the end."""
    model: str | None = None
    """Name of the model, such as fastitpn_base; none uses that of the weights, else fastitpn_tiny."""
    criterion: Annotated[str, OneOf(CRITERIA)] | None = None
    """Criterion by which tokens leave, such as attention, or learned (trained scores); none is acceleration's."""
    gathering_tokens: Literal["mean", "learned"] | None = None
    """Gathering tokens of the acceleration: means of their windows, or learned too; none is acceleration's."""
    defaults: Literal["auto", "fixed"] = "auto"
    """Values of keys that are not given: auto adapts some to few images, short runs and CPUs; fixed is as listed."""

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
            why = "since random features say nothing"
            result.append(f"freeze: expected false without weights, {why}, got {self.freeze}")
        if self.freeze and "learned" in (self.criterion, self.gathering_tokens):
            why = "where the backbone is to learn which tokens leave or gather"
            result.append(f"freeze: expected false {why}, got {self.freeze}")
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
    _of_data: ClassVar[tuple[str, ...]] = ("split", "images", "masks", "classes", "ignore_index", "reduce_zero_label")
    """Keys that say how data is read."""

    checkpoint: Path
    """Checkpoint file, run folder (its best checkpoint) or exported folder, which runs in its runtime."""
    data: Path | None = None
    """As for finetune of the checkpoint's task; none uses the validation images of the run."""
    split: Literal["train", "val", "test"] | None = None
    """Part of data to evaluate on; none uses val, else test, else all."""
    px: ImagePx | None = None
    """Image size in pixels (detection: of the shorter edge); none uses that of the checkpoint."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none uses that of the checkpoint."""
    fit: Fit = "exact"
    """For an exported folder: other images than its graph accepts are an error, or are stretched to its size."""
    batch: Count = 64
    """Images in one batch, at most, all of one size; fewer if they are large or memory runs out."""
    compile: bool = False
    """Compile the network with torch.compile, for each size of batches that repeats: slow to start, then faster."""
    out: Path = Path("runs/evaluate")
    """Folder for the results."""
    image: ImageKeys = ImageKeys()

    def problems(self) -> list[str]:
        """Also that nothing says how data is read where none is given."""
        result = super().problems()
        if self.data is None:
            defaults = {field.name: field.default for field in dataclasses.fields(self)}
            given = [name for name in self._of_data if name in defaults and getattr(self, name) != defaults[name]]
            result += [
                f"{name}: expected none without data, since the run says how its images are read" for name in given
            ]
        return result


@dataclass(frozen=True, kw_only=True)
class PredictConfig(DeviceConfig):
    """Prediction."""

    _command: ClassVar[str] = "predict"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint", "source")

    checkpoint: Path
    """Checkpoint file, run folder (its best checkpoint) or exported folder, which runs in its runtime."""
    source: Stream | Path
    """An image, a video, a folder, a pattern in quotes such as 'photos/**/*.jpg', a camera (0) or a stream (rtsp://)."""
    out: Path = Path("runs/predict")
    """Folder for the results."""
    px: ImagePx | None = None
    """Image size in pixels (detection: of the shorter edge); none uses that of the checkpoint."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none uses that of the checkpoint."""
    fit: Fit = "exact"
    """For an exported folder: other images than its graph accepts are an error, or are stretched to its size."""
    batch: Count = 64
    """Images in one batch, at most, all of one size; fewer if they are large or memory runs out."""
    compile: bool = False
    """Compile the network with torch.compile, for each size of batches that repeats: slow to start, then faster."""
    reuse: bool = False
    """In videos, compute only the parts that changed from frame to frame: for cameras that stand still."""
    reuse_threshold: NonNegative = 0.1
    """Tokens of stage 3 are kept if their input changed by at most this share; with 0 results are exact."""
    watch: bool = False
    """Also predict the images that come into the folder, until Ctrl-C; files still being written are waited for."""
    timeout_s: Positive = 10.0
    """Seconds to wait for a stream to answer, and for each of its frames."""
    write: tuple[ResultForm, ...] | None = None
    """Also write results of images as csv; detection: coco, yolo, label_studio, cvat, or objects as crops; a list."""
    image: ImageKeys = ImageKeys()

    def problems(self) -> list[str]:
        """Also that reuse and compile are not asked for at once."""
        result = super().problems()
        if self.reuse and self.compile:
            result.append("reuse: expected false with compile=true, got true")
        if self.watch and isinstance(self.source, str):
            result.append(f"watch: expected false for a stream, got true and source={self.source}")
        return result
