"""Keys of trainings, and of all commands that compute."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fastitpn.config.fields import Config
from fastitpn.config.types import (
    AutoCount,
    AutoPositive,
    BelowOne,
    Count,
    DeviceName,
    NonNegative,
    PerChannel,
    Positive,
    Precision,
    Ratio,
    Scales,
    Seed,
)
from fastitpn.config.values import OneOf
from fastitpn.data.images.keys import ImageKeys
from fastitpn.imagenet import IMAGENET_MEAN, IMAGENET_STD
from fastitpn.models.acceleration.settings import AccelerationName
from fastitpn.models.architecture import DEFAULT_MODEL
from fastitpn.runs.loggers.registry import LOGGERS


@dataclass(frozen=True, kw_only=True)
class DeviceConfig(Config):
    """Machine."""

    device: DeviceName = "auto"
    """Where to compute; auto uses a GPU if there is one."""
    precision: Precision = "auto"
    """Number format; auto is bf16-mixed on a GPU that has it, else 32-true."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes that load images, for each device; 0 loads in the main process."""


@dataclass(frozen=True, kw_only=True)
class ChoiceConfig(Config):
    """Choice in the file of weights."""

    key: str | None = None
    """Key of the tensors, such as model_ema, if the file has several networks; none finds it."""
    prefix: str | None = None
    """Prefix of the names of the tensors, such as backbone, if the file has several networks."""
    blocks: str | None = None
    """Blocks of stage 3 to load, such as 1-6, counted from 1: a model with fewer blocks; none uses all."""

    @property
    def choice(self) -> dict[str, str | None]:
        """Arguments of `read_weights`."""
        return {"key": self.key, "prefix": self.prefix, "blocks": self.blocks}


@dataclass(frozen=True, kw_only=True)
class RunConfig(ChoiceConfig, DeviceConfig):
    """Run."""

    out: Path
    """Folder of the run: configuration, metrics, checkpoints and report."""
    model: str | None = DEFAULT_MODEL
    """Name of the model: fastitpn_tiny, _small, _base, _large; itpn_base, itpn_large; hivit_tiny, _small, _base."""
    weights: Path | None = None
    """File or run folder with weights to start from, or published:NAME (see weights); none is random weights."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none uses that of the weights."""
    seed: Seed = 0
    """Fixes the order of the images, their augmentation and the initial weights."""
    checkpoint_every: Count = 500
    """Steps from one checkpoint to the next."""
    keep_checkpoints: Annotated[int, Field(ge=2)] = 2
    """Checkpoints to keep; if the last is damaged, the run resumes from the checkpoint before."""
    log_every: Count = 10
    """Steps from one line of metrics to the next."""
    devices: Count = 1
    """Devices on each machine."""
    nodes: Count = 1
    """Machines."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """On several devices: ddp, each has the whole model, or fsdp, each keeps a part of it and needs less memory."""
    compile: bool = False
    """Compile the model with torch.compile: slow to start, faster steps."""
    grad_checkpointing: bool = False
    """Compute the trunk's activations again in the backward pass: less memory, slower steps, equal results."""
    logger: tuple[Annotated[str, OneOf(LOGGERS)], ...] | None = None
    """Where metrics go beside metrics.jsonl, such as tensorboard,wandb: offline, and resumed with the run."""
    tensorboard: bool = False
    """The same as logger=tensorboard."""

    @property
    def loggers(self) -> tuple[str, ...]:
        """Names of all loggers, each once."""
        return tuple(dict.fromkeys([*(self.logger or ()), *(["tensorboard"] if self.tensorboard else [])]))


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(RunConfig):
    """Training."""

    _alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("epochs", "steps"), ("warmup_epochs", "warmup_steps"))

    batch: AutoCount = 64
    """Images in one micro-batch, for each device; auto tries how many fit, and accumulates to as many in a step."""
    accumulate: Count = 1
    """Micro-batches in one step of the optimiser."""
    epochs: Positive | None
    """Length of the training in passes over the images; or give steps."""
    steps: Count | None = None
    """Length of the training in steps of the optimiser, instead of epochs."""
    max_minutes: Positive | None = None
    """Minutes of training after which a command saves and stops; the same command goes on; none has no limit."""
    warmup_epochs: NonNegative | None
    """Epochs in which the learning rate rises from 0 to lr; or give warmup_steps."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Steps in which the learning rate rises from 0 to lr, instead of warmup_epochs."""
    lr: AutoPositive
    """Highest learning rate (AdamW), from which it falls along a cosine; auto is the published one for the batch."""
    min_lr: NonNegative
    """Learning rate at the last step."""
    weight_decay: NonNegative = 0.05
    """Weight decay of matrices and kernels; biases, norms and positions have none."""
    betas: tuple[BelowOne, BelowOne]
    """AdamW's averaging of the gradient and of its square."""
    clip_grad: Positive | None
    """Largest norm of the gradient; none does not clip."""
    drop_path: BelowOne = 0.1
    """Chance to skip a residual branch in the last block, rising linearly from 0."""
    hflip: Ratio = 0.5
    """Chance to mirror the image left to right."""
    mean: PerChannel = IMAGENET_MEAN
    """Mean of the channels, subtracted from values in 0 to 1."""
    std: tuple[Positive, Positive, Positive] = IMAGENET_STD
    """Standard deviation of the channels, divided by."""
    image: ImageKeys = ImageKeys()

    def __post_init__(self) -> None:
        for steps, epochs in (("steps", "epochs"), ("warmup_steps", "warmup_epochs")):
            if getattr(self, steps) is not None:
                object.__setattr__(self, epochs, None)
            elif getattr(self, epochs) is None:
                object.__setattr__(self, epochs, _default(self, epochs))

    def problems(self) -> list[str]:
        """Checks the learning rates."""
        result = []
        if self.min_lr > self.lr:
            result.append(f"min_lr: expected at most lr, which is {self.lr}, got {self.min_lr}")
        return result


@dataclass(frozen=True, kw_only=True)
class CropsConfig(Config):
    """Crops."""

    crop_scale: Scales
    """Share of the image's area that a random crop covers: smallest, largest."""

    def problems(self) -> list[str]:
        """Also checks the crops."""
        result = super().problems()
        if not self.crop_scale[0] <= self.crop_scale[1] <= 1:
            result.append(
                f"crop_scale: expected smallest,largest up to 1, got {self.crop_scale[0]},{self.crop_scale[1]}"
            )
        return result


def _default(config: Config, name: str) -> Any:
    return type(config).__dataclass_fields__[name].default
