"""Where a fine-tuning starts: which model, of which size, with which weights and acceleration."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.architecture import ARCHITECTURES, DEFAULT_MODEL
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.models.weights.official_names import BACKBONE
from fastitpn.runs.acceleration import choose_acceleration, trained_acceleration
from fastitpn.tasks.keys import FinetuneConfig
from fastitpn.training.setup import arguments_of, check_model, seed_start, start_from

PYRAMID_ARGUMENTS = ("pyramid", "pyramid_dim", "pyramid_depth", "pyramid_mlp_ratio")
"""Arguments of a model that a task without a pyramid leaves out."""
_IMAGE_ARGUMENTS = ("img_size", "in_chans")
_FIX = "weights_strict=false to let the rest start fresh, or weights=FILE of a pre-training, which has a pyramid"


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a fine-tuning starts.

    Attributes:
        name: Name of the model.
        px: Side of its input in pixels.
        arguments: For `create_model`: `img_size`, and those of the weights' own model that the images and the task do
            not decide.
        acceleration: What was asked for, else what the weights were trained with.
        file: The weights; None for random ones.
    """

    name: str
    px: int
    arguments: dict[str, Any]
    acceleration: Acceleration
    file: WeightsFile | None

    @property
    def model(self) -> dict[str, Any]:
        """Name and arguments as checkpoints hold them."""
        return {"name": self.name, "arguments": self.arguments}

    @property
    def pyramid_dim(self) -> int:
        """Channels of the pyramid's levels."""
        dim: int = self.arguments.get("pyramid_dim", ARCHITECTURES[self.name].pyramid_dim)
        return dim


def find_start(config: FinetuneConfig, *, without: Collection[str]) -> Start:
    """Read the weights of a fine-tuning, and make what is random depend on its seed alone.

    Args:
        config: Keys of the fine-tuning.
        without: Arguments of the weights' model that the task decides.

    Raises:
        InputError: The weights cannot be read, there is no such model or acceleration, or the weights are of a size
            that has no name.
    """
    seed_start(config.seed)
    file = read_weights(config.weights, **config.choice) if config.weights is not None else None
    name = config.model or (file.size if file is not None else DEFAULT_MODEL)
    if name is None:
        raise InputError(
            f"the weights are of a size that has no name, {file.embed_dim if file is not None else 0} channels wide",
            where=config.weights,
            expected=f"one of {', '.join(ARCHITECTURES)}, with any number of blocks",
            fix="weights=FILE of such a width",
        )
    check_model(name, file)
    px = config.px or (file.px if file is not None else None) or ARCHITECTURES[name].px
    arguments: dict[str, Any] = {"img_size": px}
    trained = None
    if file is not None:
        form = arguments_of(file, config.model, config.blocks)
        arguments |= {k: v for k, v in form.items() if k not in (*_IMAGE_ARGUMENTS, *without)}
        trained = trained_acceleration(file.checkpoint, file.source)
    elif not config.scratch:
        say("no weights given: training starts from random ones (scratch=true says so on purpose)")
    acceleration = choose_acceleration(config.acceleration, trained)
    return Start(name=name, px=px, arguments=arguments, acceleration=acceleration, file=file)


def start_network(
    network: nn.Module,
    start: Start,
    *,
    task: str,
    head: tuple[str, Mapping[str, Any]],
    classes: Sequence[str],
    class_layers: tuple[str, ...],
    strict: bool,
) -> None:
    """Load weights into the backbone of a network, and into its head where they are of the same one.

    The pyramid of a HiViT starts fresh, and that with the trunk of a tracker: their files have none.

    Args:
        network: With a `backbone`, a `FastITPN` with its pyramid; all the rest is its head.
        start: Where the weights are from.
        task: Name of the task that the network is for.
        head: What a checkpoint calls the head, such as "detector", and its name and arguments.
        classes: Names of the classes to learn.
        class_layers: How the names of those tensors begin that depend on the classes: of other classes they are fresh.
        strict: See `load_weights`.

    Raises:
        InputError: The weights do not fit.
    """
    file, (kind, wanted) = start.file, head
    if file is None:
        return
    of_same_task = file.checkpoint.get("task") == task
    of_head = {key for key in network.state_dict() if not key.startswith(BACKBONE)} if of_same_task else set()
    tensors = {key: tensor for key, tensor in file.tensors.items() if key not in of_head}
    rest = replace(file, tensors=tensors, origin={key: file.origin[key] for key in tensors})
    backbone: Any = network.backbone
    has_never_one = file.client is not None or start.name.startswith("hivit_")
    start_from(backbone, rest, name=start.name, fix=_FIX, strict=strict, fresh_pyramid=has_never_one)
    if not of_same_task:
        return
    if file.checkpoint.get(kind) != wanted:
        say(f"the {kind} of those weights is another: it starts fresh")
        return
    same = tuple(file.checkpoint.get("classes", ())) == tuple(classes)
    fresh = BACKBONE if same else (BACKBONE, *class_layers)
    state = {key: tensor for key, tensor in network.state_dict().items() if key.startswith(fresh)}
    network.load_state_dict({**{key: file.tensors[key] for key in of_head & set(file.tensors)}, **state})
    but = "" if same else ", but for its last layers: those are for other classes"
    say(f"the {kind} is taken over{but}")
