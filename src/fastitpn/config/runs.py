"""The configuration of each verb. The string under a field is its line in `--help`.

Every key means the same wherever it appears. A subclass declares a key of its base again to give it a default of its
own; `TrainingConfig` leaves those defaults out in which pre-training and fine-tuning differ.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fastitpn.config.detections import DetectionsConfig
from fastitpn.config.fields import Config
from fastitpn.config.masks import MasksConfig, ViewsConfig

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Ratio = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
ImagePx = Annotated[int, Field(ge=32, multiple_of=16)]
PerChannel = tuple[float, float, float]
Scales = tuple[Positive, Positive]
Schedule = Literal["cosine", "poly", "step"]

AccelerationName = Literal["off", "balanced", "fast"]
"""The presets of `models.acceleration`, written out again because importing them takes seconds."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class DeviceConfig(Config):
    """Machine."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes the GPU if there is one."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Number format; auto is bf16-mixed on a GPU that has it, else 32-true."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes that load images, for each device; 0 loads in the main process."""


@dataclass(frozen=True, kw_only=True)
class RunConfig(DeviceConfig):
    """Run."""

    out: Path
    """Folder of the run: configuration, metrics, checkpoints and report."""
    model: str | None = "fastitpn_tiny"
    """Name of the model: fastitpn_tiny, fastitpn_small, fastitpn_base or fastitpn_large."""
    weights: Path | None = None
    """File or run folder with weights to start from; none starts from random ones."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none takes the weights' own."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Fixes the order of the images, their augmentation and the initial weights."""
    checkpoint_every: Count = 500
    """Steps from one checkpoint to the next."""
    keep_checkpoints: Annotated[int, Field(ge=2)] = 2
    """Checkpoints that are kept; if the last one is damaged, the run goes on from the one before."""
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
    """Compute the trunk's activations again in the backward pass: less memory, slower steps, the same result."""
    tensorboard: bool = False
    """Also write the figures for TensorBoard, into OUT/tensorboard."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(RunConfig):
    """Training."""

    _alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("epochs", "steps"), ("warmup_epochs", "warmup_steps"))

    batch: Count = 64
    """Images in one micro-batch, for each device."""
    accumulate: Count = 1
    """Micro-batches in one step of the optimiser."""
    epochs: Positive | None
    """Length of the training in passes over the images; or give steps."""
    steps: Count | None = None
    """Length of the training in steps of the optimiser, instead of epochs."""
    warmup_epochs: NonNegative | None
    """Epochs in which the learning rate rises from 0 to lr; or give warmup_steps."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Steps in which the learning rate rises from 0 to lr, instead of warmup_epochs."""
    lr: Positive
    """Highest learning rate (AdamW); it then falls along a cosine."""
    min_lr: NonNegative
    """Learning rate at the last step."""
    weight_decay: NonNegative = 0.05
    """Weight decay of matrices and kernels; biases, norms and positions have none."""
    betas: tuple[BelowOne, BelowOne]
    """AdamW's averaging of the gradient and of its square."""
    clip_grad: Positive | None
    """Largest norm of the gradient; none leaves it as it is."""
    drop_path: BelowOne = 0.1
    """Chance to skip a residual branch in the last block, rising linearly from 0."""
    hflip: Ratio = 0.5
    """Chance to mirror the image left to right."""
    mean: PerChannel = IMAGENET_MEAN
    """Mean of the channels, subtracted from values in 0 to 1."""
    std: tuple[Positive, Positive, Positive] = IMAGENET_STD
    """Standard deviation of the channels, divided by."""

    def __post_init__(self) -> None:
        for one, other in (("steps", "epochs"), ("warmup_steps", "warmup_epochs")):
            if getattr(self, one) is not None:
                object.__setattr__(self, other, None)
            elif getattr(self, other) is None:
                object.__setattr__(self, other, _default(self, other))

    def problems(self) -> list[str]:
        """Checks the learning rates."""
        result = []
        if self.min_lr > self.lr:
            result.append(f"min_lr: expected at most lr, which is {self.lr}, got {self.min_lr}")
        return result


@dataclass(frozen=True, kw_only=True)
class CropsConfig(TrainingConfig):
    """Training."""

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


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig(CropsConfig):
    """Classification."""

    _command: ClassVar[str] = "finetune classify"

    data: Path
    """Folder with a sub-folder of images for each class, or a CSV file."""
    val: Path | None = None
    """Images to validate on, as data; none splits them off data."""
    val_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of data to validate on, where val is none."""
    px: ImagePx | None = None
    """Side of the input in pixels; none takes that of the weights, else of the model."""
    scratch: bool = False
    """Start from random weights on purpose; else a run without weights is warned about."""
    weights_strict: bool = True
    """Refuse weights that leave a part of the model, other than the head, at its initial values."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Factor on the learning rate from each block to the one before it."""
    label_smoothing: BelowOne = 0.1
    """Share of the label spread over all classes."""
    mixup: NonNegative = 0.8
    """Alpha of mixup, which blends two images; 0 is off."""
    cutmix: NonNegative = 1.0
    """Alpha of cutmix, which pastes a part of one image into another; 0 is off."""
    mixup_switch: Ratio = 0.5
    """Chance of cutmix rather than mixup, where both are on."""
    random_erasing: Ratio = 0.25
    """Chance to erase a rectangle of the image."""
    rand_augment: str | None = "rand-m9-mstd0.5-inc1"
    """RandAugment as timm writes it; none is off."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.9999
    """Decay of the moving average of the weights, which is then validated and saved; none is off."""
    eval_every_epochs: Positive = 1
    """Epochs from one validation to the next."""

    out: Path = Path("runs/classify")
    model: str | None = None
    """Name of the model, such as fastitpn_base; none takes that of the weights, else fastitpn_tiny."""
    epochs: Positive | None = 100
    warmup_epochs: NonNegative | None = 5
    lr: Positive = 1e-3
    min_lr: NonNegative = 1e-6
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999)
    clip_grad: Positive | None = None
    crop_scale: Scales = (0.08, 1.0)

    def problems(self) -> list[str]:
        """Also that weights and scratch are not asked for at once."""
        result = super().problems()
        if self.batch % 2 and (self.mixup > 0 or self.cutmix > 0):
            result.append(f"batch: expected an even number, since mixup and cutmix pair images, got {self.batch}")
        if self.scratch and self.weights is not None:
            result.append(f"scratch: expected false where weights are given, got true and weights={self.weights}")
        return result


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(MasksConfig, ViewsConfig, DetectionsConfig, DeviceConfig):
    """Evaluation."""

    _command: ClassVar[str] = "evaluate"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint", "data")

    checkpoint: Path
    """Checkpoint file or run folder (its best checkpoint)."""
    data: Path
    """As for finetune of the checkpoint's task: classes as folders, images with masks, or with COCO annotations."""
    px: ImagePx | None = None
    """Side of the input in pixels (detection: its shorter side); none takes the checkpoint's."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none takes the checkpoint's own."""
    batch: Count = 64
    """Images in one batch."""
    out: Path = Path("runs/evaluate")
    """Folder for the figures."""


@dataclass(frozen=True, kw_only=True)
class PredictConfig(ViewsConfig, DetectionsConfig, DeviceConfig):
    """Prediction."""

    _command: ClassVar[str] = "predict"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint", "source")

    checkpoint: Path
    """Checkpoint file or run folder (its best checkpoint)."""
    source: Path
    """An image, a video, a folder of them, or a pattern in quotes such as 'photos/**/*.jpg'; frame2 before frame10."""
    out: Path = Path("runs/predict")
    """Folder for the results."""
    top_k: Count = 5
    """Classes to name for each image, the likeliest first."""
    px: ImagePx | None = None
    """Side of the input in pixels (detection: its shorter side); none takes the checkpoint's."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering): faster, less exact; none takes the checkpoint's own."""
    batch: Count = 64
    """Images in one batch."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(DeviceConfig):
    """Benchmark."""

    _command: ClassVar[str] = "benchmark"
    _alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("checkpoint", "model"),
        ("checkpoint", "weights"),
        ("rounds", "seconds"),
    )

    checkpoint: Path | None = None
    """Checkpoint file or run folder (its best checkpoint) whose model is measured; or give model."""
    model: str | None = None
    """Name of the model; none takes that of the checkpoint or the weights, else fastitpn_tiny."""
    weights: Path | None = None
    """File or run folder whose model is measured; its values do not matter to speed."""
    px: tuple[ImagePx, ...] | None = None
    """Side of the input in pixels, one or several; none takes the model's own."""
    batch: tuple[Count, ...] = (1,)
    """Images in one batch, one number or several."""
    acceleration: Literal["all"] | tuple[AccelerationName, ...] = "all"
    """What to compare with the plain model: all accelerations there are, or some of them."""
    peers: tuple[str, ...] | None = None
    """Models of timm to measure beside it, such as vit_base_patch16_224,convnext_base; nothing is fetched."""
    pyramid: bool = False
    """Run the model with its pyramid instead of its head."""
    data: Path | None = None
    """Data as for evaluate: also measures what the checkpoint (not of a detector) gets right with each acceleration."""
    compile: bool = False
    """Compile the models with torch.compile: slow to start, faster passes."""
    threads: Count | None = None
    """Threads of the processor; none takes what torch would."""
    seconds: Positive = 10.0
    """Time to measure each row, about; every row has 5 rounds at least."""
    rounds: Count | None = None
    """Instead of seconds: turns that each row has."""
    out: Path = Path("runs/benchmark")
    """Folder for the figures, the plot and the report."""

    def problems(self) -> list[str]:
        """Checks that there is a classifier where images are given."""
        if self.data is not None and self.checkpoint is None:
            return ["data: expected together with checkpoint=RUN of a trained model, got none"]
        return []


@dataclass(frozen=True, kw_only=True)
class InspectConfig(Config):
    """Inspection."""

    _command: ClassVar[str] = "inspect"
    _positional: ClassVar[tuple[str, ...]] = ("file",)

    file: Path
    """File with weights (.pt, .pth, .safetensors, .ckpt) or a run folder."""
    model: str | None = None
    """Name of the model to compare with; none finds it from the file."""


@dataclass(frozen=True, kw_only=True)
class DemoConfig(DeviceConfig):
    """Demo."""

    _command: ClassVar[str] = "demo"

    out: Path = Path("runs/demo")
    """Folder for the runs and their reports."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Fixes the images that are drawn and the training."""
    quick: bool = False
    """Fewer images and steps: only shows that everything works."""


def _default(config: Config, name: str) -> Any:
    return type(config).__dataclass_fields__[name].default
