"""Where a fine-tuning starts: which model, of which size, with which weights and acceleration."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from fastitpn.config.detect import DetectConfig
from fastitpn.config.runs import ClassifyConfig
from fastitpn.config.segment import SegmentConfig
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.registry import ARCHITECTURES
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.runs.acceleration import choose_acceleration, trained_acceleration
from fastitpn.training.setup import DEFAULT_MODEL, check_model, seed_start, start_from

_OF_IMAGES = ("img_size", "in_chans")
_OF_PYRAMID = ("pyramid", "pyramid_dim", "pyramid_depth", "pyramid_mlp_ratio")


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a fine-tuning starts.

    Attributes:
        name: Of the model.
        px: Side of its input.
        arguments: To make the model with: `img_size`, and those of the weights' own model that the images and the task
            do not decide.
        acceleration: Asked for, else what the weights were trained with.
        file: The weights; None for random ones.
    """

    name: str
    px: int
    arguments: dict[str, Any]
    acceleration: Acceleration
    file: WeightsFile | None

    @property
    def model(self) -> dict[str, Any]:
        """As checkpoints describe it."""
        return {"name": self.name, "arguments": self.arguments}

    @property
    def pyramid_dim(self) -> int:
        """Channels of the pyramid's levels."""
        dim: int = {"pyramid_dim": 256, **ARCHITECTURES[self.name], **self.arguments}["pyramid_dim"]
        return dim


def find_start(config: ClassifyConfig | SegmentConfig | DetectConfig) -> Start:
    """Read the weights of a fine-tuning, and make what is random depend on its seed alone.

    Raises:
        InputError: The weights cannot be read, there is no such model or acceleration, or the weights are of a size
            that has no name.
    """
    seed_start(config.seed)
    file = read_weights(config.weights) if config.weights is not None else None
    name = config.model or (file.model if file is not None else DEFAULT_MODEL)
    if name is None:
        raise InputError(
            "the weights are of a size that has no name",
            where=config.weights,
            expected=f"one of {', '.join(ARCHITECTURES)}",
            fix="model=NAME of a model that these weights belong to",
        )
    check_model(name)
    px = config.px or (file.px if file is not None else None) or ARCHITECTURES[name]["img_size"]
    arguments: dict[str, Any] = {"img_size": px}
    trained = None
    if file is not None:
        of_task = _OF_PYRAMID if isinstance(config, ClassifyConfig) else ("pyramid", "fc_norm")
        arguments |= {k: v for k, v in file.arguments().items() if k not in (*_OF_IMAGES, *of_task)}
        trained = trained_acceleration(file.checkpoint, file.source)
    elif not config.scratch:
        print("no weights given: training starts from random ones (scratch=true says so on purpose)", flush=True)
    acceleration = choose_acceleration(config.acceleration, trained)
    return Start(name=name, px=px, arguments=arguments, acceleration=acceleration, file=file)


def start_backbone(backbone: nn.Module, start: Start, file: WeightsFile, *, but: Collection[str], strict: bool) -> None:
    """Load weights into trunk and pyramid.

    Args:
        backbone: The two.
        start: Where they are from.
        file: The weights.
        but: Names of tensors that are for the task's own layers.
        strict: See `load_weights`.

    Raises:
        InputError: They do not fit.
    """
    tensors = {key: tensor for key, tensor in file.tensors.items() if key not in but}
    rest = replace(file, tensors=tensors, origin={key: file.origin[key] for key in tensors})
    fix = "weights_strict=false to let the rest start fresh, or weights=FILE of a pre-training, which has a pyramid"
    start_from(backbone, rest, name=start.name, fix=fix, strict=strict)
