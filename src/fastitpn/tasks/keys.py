"""Keys that the tasks share: a task's own configurations are subclasses of these."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

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
from fastitpn.data.images.keys import ImageKeys
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.training.config import AccelerationName, DeviceConfig, TrainingConfig

ResultForm = Literal["csv", "coco", "yolo", "label_studio", "labelstudio", "cvat", "crops"]
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
    """Share of data to validate on, where val is none."""
    px: ImagePx | None = None
    """Side of the input in pixels; none takes that of the weights, else of the model."""
    scratch: bool = False
    """Start from random weights on purpose; else a run without weights is warned about."""
    weights_strict: bool = True
    """Refuse weights that fill only a part of trunk and pyramid, or of a published head; false takes what fits."""
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
    criterion: Annotated[str, OneOf(CRITERIA)] | None = None
    """By what tokens leave, such as attention, or learned: by scores that are trained too; none is acceleration's."""
    gathering_tokens: Literal["mean", "learned"] | None = None
    """Gathering tokens of the acceleration: means of their windows, or learned too; none is acceleration's."""
    defaults: Literal["auto", "fixed"] = "auto"
    """Keys that are not given: auto fits some to few images, short runs and CPUs and says so; fixed is as listed."""

    def problems(self) -> list[str]:
        """Also that weights and scratch are not asked for at once."""
        result = super().problems()
        if self.milestones is not None and self.schedule != "step":
            result.append(f"milestones: expected none with schedule={self.schedule}, which drops nowhere")
        if self.milestones is not None and list(self.milestones) != sorted(set(self.milestones)):
            result.append(f"milestones: expected each above the one before it, got {show(self.milestones)}")
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
    """Checkpoint file, run folder (its best checkpoint) or exported folder, which its own runtime runs."""
    data: Path | None = None
    """As for finetune of the checkpoint's task; none takes the images that the run itself was validated on."""
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
    """Checkpoint file, run folder (its best checkpoint) or exported folder, which its own runtime runs."""
    source: Stream | Path
    """An image, a video, a folder, a pattern in quotes such as 'photos/**/*.jpg', a camera (0) or a stream (rtsp://)."""
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
    watch: bool = False
    """Also predict the images that come into the folder, until Ctrl-C; files still being written are waited for."""
    timeout_s: Positive = 10.0
    """Seconds to wait for a stream to answer, and for each of its pictures."""
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
