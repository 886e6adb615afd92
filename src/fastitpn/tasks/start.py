"""Where a fine-tuning starts: which model, of which size, with which weights and acceleration."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.architecture import ARCHITECTURES, DEFAULT_MODEL
from fastitpn.models.layers.cells import PATCH
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.models.weights.heads import has_head, load_head, read_head
from fastitpn.models.weights.loading import load_weights
from fastitpn.models.weights.official_names import BACKBONE
from fastitpn.models.weights.report import LoadReport
from fastitpn.runs.acceleration import choose_acceleration, trained_acceleration
from fastitpn.tasks.keys import FinetuneConfig
from fastitpn.training.setup import arguments_of, check_model, seed_start, start_from

PYRAMID_ARGUMENTS = ("pyramid", "pyramid_dim", "pyramid_depth", "pyramid_mlp_ratio")
"""Arguments of a model that a task without a pyramid leaves out."""
_IMAGE_ARGUMENTS = ("img_size", "in_chans")
_ACCELERATION_ARGUMENTS = ("scorers", "gathering_tokens")
MOST_ROWS = 32
"""Queries of a scorer along each side of a map, at most."""
_FIX = "weights_strict=false to initialise the rest randomly, or weights=FILE of a pre-training, which has a pyramid"


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
        published: File that has a published head, perhaps beside the weights; None if there is none.
        choice: What was said of where in the file the weights are.
    """

    name: str
    px: int
    arguments: dict[str, Any]
    acceleration: Acceleration
    file: WeightsFile | None
    published: Path | None = None
    choice: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def model(self) -> dict[str, Any]:
        """Name and arguments as checkpoints hold them."""
        return {"name": self.name, "arguments": self.arguments}

    def model_for(self, outputs: int, *, map_px: int | None = None) -> dict[str, Any]:
        """`model` with the scorers of tokens that the acceleration asks for, if any.

        Args:
            outputs: What a query of theirs predicts: a logit for each class.
            map_px: Side of the images in training in pixels, where there is a query for each patch of a map; None:
                one for the image.
        """
        if not self.acceleration.num_scorers:
            return self.model
        queries = 1 if map_px is None else min(MOST_ROWS, map_px // PATCH) ** 2
        return {
            "name": self.name,
            "arguments": {**self.arguments, "scorers": [self.acceleration.num_scorers, queries, outputs]},
        }

    @property
    def pyramid_dim(self) -> int:
        """Channels of the pyramid's levels."""
        dim: int = self.arguments.get("pyramid_dim", ARCHITECTURES[self.name].pyramid_dim)
        return dim


def find_start(config: FinetuneConfig, *, without: Collection[str], heads: bool = False) -> Start:
    """Read the weights of a fine-tuning, and make what is random depend on its seed alone.

    Args:
        config: Keys of the fine-tuning.
        without: Arguments of the weights' model that the task decides.
        heads: Whether there may be a published head in the file, or nothing else.

    Raises:
        InputError: The weights cannot be read, there is no such model or acceleration, or the weights are of a size
            that has no name.
    """
    seed_start(config.seed)
    file, published = None, None
    if config.weights is not None:
        published = config.weights if heads and _has_head(config.weights, config.key) else None
        try:
            file = read_weights(config.weights, **config.choice)
        except InputError:
            if published is None:
                raise
            say("the weights have no Fast-iTPN: trunk and pyramid start from random values")
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
        arguments |= {k: v for k, v in form.items() if k not in (*_IMAGE_ARGUMENTS, *_ACCELERATION_ARGUMENTS, *without)}
        trained = trained_acceleration(file.checkpoint, file.source)
    elif not config.scratch and published is None:
        say("no weights given: training starts from random ones (scratch=true says so on purpose)")
    acceleration = choose_acceleration(config.acceleration, trained)
    acceleration = acceleration.with_parts(config.criterion, config.gathering_tokens)
    if acceleration.num_learned_tokens:
        arguments["gathering_tokens"] = acceleration.num_learned_tokens
        rows = px // PATCH
        if not acceleration.learns_tokens((rows, rows)):
            say(f"a map of {rows}x{rows} patches is one window: gathering tokens learn nothing below a larger px")
    return Start(
        name=name,
        px=px,
        arguments=arguments,
        acceleration=acceleration,
        file=file,
        published=published,
        choice=config.choice,
    )


def start_network(
    network: nn.Module,
    start: Start,
    *,
    task: str,
    head: tuple[str, Mapping[str, Any]],
    classes: Sequence[str],
    class_layers: tuple[str, ...],
    input_layers: tuple[str, ...] = (),
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
        input_layers: How the names of those parameters begin that depend on the backbone's maps: a published head of
            another backbone has others.
        strict: See `load_weights`.

    Raises:
        InputError: The weights do not fit.
    """
    file, (kind, wanted) = start.file, head
    if start.published is not None and _take_published(
        network, start, kind, class_layers=class_layers, input_layers=input_layers, strict=strict
    ):
        return
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
        say(f"the {kind} of those weights is another: it is randomly initialised")
        return
    same = tuple(file.checkpoint.get("classes", ())) == tuple(classes)
    fresh = BACKBONE if same else (BACKBONE, *class_layers)
    state = {key: tensor for key, tensor in network.state_dict().items() if key.startswith(fresh)}
    network.load_state_dict({**{key: file.tensors[key] for key in of_head & set(file.tensors)}, **state})
    but = "" if same else ", but for its last layers: those are for other classes"
    say(f"the {kind} is taken over{but}")


def _has_head(path: Path, key: str | None) -> bool:
    try:
        return has_head(path, key)
    except InputError:
        return False  # what is wrong with the file is said where its trunk is read


def _take_published(
    network: nn.Module,
    start: Start,
    kind: str,
    *,
    class_layers: tuple[str, ...],
    input_layers: tuple[str, ...],
    strict: bool,
) -> bool:
    """Load a published head, and the trunk beside it if there is one; whether it is a head of this network."""
    assert start.published is not None
    named: Any = network
    names = named.published_names() if hasattr(network, "published_names") else {}
    head = read_head(start.published, names, start.choice.get("key")) if names else None
    if head is None:
        if start.file is not None:
            return False
        raise InputError(
            f"the file has only a head, and it is another {kind}'s",
            where=start.published,
            expected=f"the published head of this {kind}, or weights of a Fast-iTPN",
            fix=f"{kind}=dino or {kind}=maskdino, whose head it is, or weights=FILE of a pre-training",
        )
    blocks = start.choice.get("blocks")

    def load_trunk(rest: Mapping[str, Tensor]) -> LoadReport:
        file = read_weights(rest, prefix=start.choice.get("prefix"), blocks=blocks)
        return load_weights(named.backbone, replace(file, source=str(start.published)), strict=strict)

    start_fresh = (*class_layers, *input_layers)
    try:
        report = load_head(network, head, strict=strict, load_trunk=load_trunk, start_fresh=start_fresh)
    except InputError as error:
        fix = f"keys of {kind} that give these sizes, or weights_strict=false to initialise the rest randomly"
        raise InputError(error.what, where=error.where, expected=error.expected, fix=fix) from None
    say(f"{start.published}: {report.verdict}")
    if not any(name.startswith(class_layers) for name in report.fresh):
        say(f"the classes of the {kind} are taken for those of the data, in the same order")
    return True
