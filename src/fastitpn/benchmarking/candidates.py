"""What is measured: our model with each acceleration, and models of timm beside it. All with random weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import timm
from timm.layers import to_2tuple
from torch import nn

from fastitpn.benchmarking.exported import build_described, open_graph
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.registry import create_model
from fastitpn.nearest import nearest_name
from fastitpn.tasks.registry import TASKS


class Unfit(Exception):
    """A candidate cannot run as asked; the text says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model to measure."""

    model: str
    """Name of one of our models, or of one of timm's."""
    acceleration: Acceleration | None = None
    """The acceleration of one of ours; None for a peer, which is built by timm."""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of `create_model`, in plain types."""
    pyramid: bool = False
    """Whether one of ours runs with its pyramid instead of its head."""
    task: str | None = None
    """Task of a trained network of which `part` runs; None for a model as it is."""
    part: Mapping[str, Any] | None = None
    """What `TaskSpec.measured_part` gave, in plain types."""
    alias: str | None = None
    """What to call the acceleration, if not by its name."""
    described: Mapping[str, Any] | None = None
    """What an exported folder says of its model, in plain types: the network of that runs; None for others."""
    exported: str | None = None
    """An exported folder, whose graph runs in its own runtime."""

    @property
    def acceleration_name(self) -> str | None:
        """For people; None for a peer."""
        return self.alias or (None if self.acceleration is None else self.acceleration.name)

    @property
    def plain(self) -> bool:
        """Whether the others are compared with this one."""
        return self.acceleration is not None and self.acceleration.off and self.exported is None

    @property
    def in_chans(self) -> int:
        """Channels of its input."""
        channels: int = self.arguments.get("in_chans", 3)
        return channels

    def build(self, px: int) -> nn.Module:
        """The model for inputs of `px`, in evaluation mode, with random weights; nothing is fetched.

        Raises:
            Unfit: There is no such model, or it does not take images of that size.
        """
        if self.acceleration is None:
            return _build_peer(self.model, px).eval()
        if self.exported is not None:
            return open_graph(self.exported)
        if self.described is not None:
            return build_described(self.described, self.acceleration)
        arguments = {**self.arguments, "img_size": px}
        if self.task is not None and self.part is not None:
            described = {"name": self.model, "arguments": arguments}
            model: Any = TASKS.spec(self.task).create_measured(described, self.part)
        else:
            model = create_model(self.model, pyramid=self.pyramid, **arguments)
        self.accelerate(model)
        return model.eval()

    def accelerate(self, model: nn.Module) -> None:
        """Switch a model of ours to this acceleration.

        Raises:
            Unfit: They do not go together.
        """
        try:
            network: Any = model if self.described is None else model.model
            backbone: Any = getattr(network, "backbone", network)
            backbone.set_acceleration(self.acceleration)
        except InputError as error:
            raise Unfit(error.what) from error

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for another process; `from_dict` reads them."""
        return {
            "model": self.model,
            "acceleration": None if self.acceleration is None else self.acceleration.to_dict(),
            "arguments": dict(self.arguments),
            "pyramid": self.pyramid,
            "task": self.task,
            "part": self.part,
            "alias": self.alias,
            "described": self.described,
            "exported": self.exported,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Candidate":
        """The inverse of `to_dict`."""
        acceleration = fields["acceleration"]
        return cls(**{**fields, "acceleration": None if acceleration is None else Acceleration.from_dict(acceleration)})


def accelerations_of(candidates: Sequence[Candidate]) -> dict[str, Acceleration]:
    """The accelerations that are measured, by what they are called."""
    pairs = ((candidate.acceleration_name, candidate.acceleration) for candidate in candidates)
    return {name: acceleration for name, acceleration in pairs if name is not None and acceleration is not None}


def check_peers(names: Sequence[str]) -> None:
    """Make sure that timm can build these models without fetching anything.

    Raises:
        InputError: With the nearest name.
    """
    for name in names:
        if not timm.is_model(name):  # names on the hub ("hf-hub:...") are none either
            near = nearest_name(name, timm.list_models())
            raise InputError(
                f"timm has no model {name!r}",
                where="peers",
                expected="names of timm's models: timm.list_models()",
                fix=f"peers={near}" if near else None,
            )


def first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _build_peer(name: str, px: int) -> nn.Module:
    try:
        try:
            model = timm.create_model(name, pretrained=False, img_size=px)
        except TypeError:  # convolutional networks have no `img_size`
            model = timm.create_model(name, pretrained=False)
    except Exception as error:  # whatever a model says to a size it was not made for
        raise Unfit(first_line(error)) from error
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    for side in () if patch is None else to_2tuple(patch):
        if px % side:  # some leave the rest of the image out without a word
            raise Unfit(f"{px} px is no multiple of its patches of {side} px")
    return model
