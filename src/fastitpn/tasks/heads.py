"""Heads by name: a segmentation head or a detector is a file with one of these, and a line in its registry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from fastitpn.config.fields import Config
from fastitpn.registry import Registry
from fastitpn.training.published_rate import PublishedRate

if TYPE_CHECKING:
    from torch import nn  # `--help` reads the keys of heads, and is quick


@dataclass(frozen=True, kw_only=True)
class HeadKeys(Config):
    """Head.

    The keys of a head are a subclass; a task's own base of them names the registry as `_variants`.
    """

    _shorthand: ClassVar[str | None] = "name"
    _variants: ClassVar[Registry[Any] | None] = None

    name: str

    def problems_with(self, config: Any) -> list[str]:
        """What is wrong between the head and the other keys of a training, each a sentence that begins with a key."""
        return []


HEAD_DIM = 32
"""Channels of an attention head in heads that are transformers, as published."""
_MOST_POINTS = 12544


def width_problems(width: int | None, head: str) -> list[str]:
    """What is wrong with the width of a transformer that `head`, such as head=maskdino, is: it is cut into heads."""
    if width is None or width % HEAD_DIM == 0:
        return []
    return [f"width: expected a multiple of {HEAD_DIM} for {head}, got {width}"]


def points_of_masks(px: int) -> int:
    """Points that losses look at for each mask: 12544 as published, of small images one for each cell at stride 4."""
    return min(_MOST_POINTS, (px // 4) ** 2)


KeysT = TypeVar("KeysT", bound=HeadKeys)


@dataclass(frozen=True, kw_only=True)
class HeadSpec(Generic[KeysT]):
    """A kind of head that a task can train.

    Attributes:
        keys: Class of the head's keys, with their defaults.
        arguments: From the keys, the pyramid's channels and the image size in pixels to the arguments of `build`,
            plain types: a checkpoint holds them.
        build: Makes the network. It imports what takes long itself.
        needs_masks: Whether it learns from masks.
        panoptic: Arguments that are others for a panoptic segmentation, unless its keys give them.
        exports: How it can be exported: "any" number of images, "one" image at a time in ONNX alone, or "none".
        open_size: Whether height and width of an exported file can be left open.
        half: Whether an exported file can compute in half precision; no detector does.
        published: Learning rate that it was published with, for `lr=auto`; None if there is none.
    """

    keys: type[KeysT]
    arguments: Callable[[KeysT, int, int], Mapping[str, Any]]
    build: "Callable[..., nn.Module]"
    needs_masks: bool = False
    panoptic: Mapping[str, Any] = field(default_factory=dict)
    exports: str = "any"
    open_size: bool = True
    half: bool = True
    published: PublishedRate | None = None
