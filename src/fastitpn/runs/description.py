"""What a checkpoint says of its model: all that is needed to build the model and to use it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """The typed content of a checkpoint; a task has a subclass with what else it needs.

    Attributes:
        model: "name" and "arguments" of `create_model`.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        px: Side of the input in pixels; for detection the shorter side.
        pixel_range: Black and white of its training's images with more than 8 bits, as `image.range` spells them; None
            if there were none.
    """

    needed: ClassVar[tuple[str, ...]] = ("model", "normalisation", "px")
    """Keys that a checkpoint must have, beside "weights"."""

    model: Mapping[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    px: int
    pixel_range: str | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the outputs; empty for a task without classes."""
        return ()

    def at(self, px: int | None) -> Self:
        """The description with another image size; None keeps it."""
        return self if px is None else replace(self, px=px)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, as a checkpoint holds them."""
        return {
            "model": dict(self.model),
            "normalisation": {"mean": list(self.mean), "std": list(self.std)},
            "px": self.px,
            **({} if self.pixel_range is None else {"pixel_range": self.pixel_range}),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a checkpoint that has all that is `needed`."""
        return cls(**cls.shared(content))

    @classmethod
    def shared(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that every description has, from a checkpoint."""
        return {
            "model": content["model"],
            "mean": tuple(content["normalisation"]["mean"]),
            "std": tuple(content["normalisation"]["std"]),
            "px": content["px"],
            "pixel_range": content.get("pixel_range"),
        }
