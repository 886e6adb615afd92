"""What a checkpoint says of its model: all that is needed to build the model and to use it."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

from fastitpn.errors import InputError
from fastitpn.models.architecture import ARCHITECTURES, ModelArguments
from fastitpn.nearest import nearest_name

ARGUMENTS = frozenset(field.name for field in fields(ModelArguments)) - {"device", "dtype"} | {"num_classes"}
"""Of `create_model`, all that a checkpoint may give; timm would take others, such as where to fetch weights from."""
MAX_BLOCKS = 200
MAX_PX = 1 << 14
"""Of a side, in a checkpoint."""
_AGAIN = "get the file again, from whoever made it"


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """The typed content of a checkpoint; a task has a subclass with what else it needs.

    Attributes:
        model: "name" and "arguments" of `create_model`.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        px: Image size in pixels; for detection the shorter side.
        pixel_range: Black and white of its training's images with more than 8 bits, as `image.range` spells them; None
            if there were none.
    """

    needed: ClassVar[tuple[str, ...]] = ("model", "normalisation", "px")
    """Keys that a checkpoint must have, beside "weights"."""
    more_arguments: ClassVar[frozenset[str]] = frozenset()
    """Arguments that a model of this task may have beside those of `create_model`."""

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
        """Read a checkpoint that has all that is `needed`.

        Raises:
            InputError: It says something that no training writes.
        """
        return cls(**cls.shared(content))

    @classmethod
    def shared(cls, content: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that every description has, from a checkpoint.

        Raises:
            InputError: One of them is nothing that a training writes.
        """
        normalisation = content["normalisation"]
        return {
            "model": checked_model(content["model"], cls.more_arguments),
            "mean": _three_numbers(normalisation["mean"], "mean"),
            "std": _three_numbers(normalisation["std"], "std"),
            "px": _px(content["px"]),
            "pixel_range": content.get("pixel_range"),
        }


def checked_model(model: Any, more_arguments: Collection[str] = ()) -> Mapping[str, Any]:
    """The "model" of a checkpoint, after a look at what it asks for.

    Args:
        model: Its "name" and "arguments".
        more_arguments: Names that are fine beside `ARGUMENTS`.

    Raises:
        InputError: It is none of this package, or has arguments that a training does not write.
    """
    name, arguments = model["name"], model["arguments"]
    known = [*ARCHITECTURES, *(f"{size}_fpn" for size in ARCHITECTURES)]
    if name not in known:
        near = nearest_name(str(name), known)
        raise InputError(
            f"no model is named {str(name)[:80]!r}",
            expected=", ".join(ARCHITECTURES),
            fix=f"a checkpoint of {near}, which this may have been" if near else _AGAIN,
        )
    if strange := [repr(key)[:40] for key in arguments if key not in {*ARGUMENTS, *more_arguments}]:
        raise InputError(
            f"the model of this checkpoint cannot be built: training does not write the arguments {', '.join(strange)}",
            expected="arguments of FastITPN",
            fix=_AGAIN,
        )
    if sum(arguments.get("depths") or ()) > MAX_BLOCKS:
        raise _strange(f"depths={str(arguments['depths'])[:80]}", f"up to {MAX_BLOCKS} blocks")
    checked: Mapping[str, Any] = model
    return checked


def _three_numbers(values: Any, name: str) -> tuple[float, ...]:
    numbers = tuple(values)
    if len(numbers) != 3 or not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise _strange(f"{name}={str(values)[:80]}", "a number for red, green and blue each")
    return numbers


def _px(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MAX_PX:
        raise _strange(f"px={str(value)[:80]}", f"a whole number up to {MAX_PX}")
    return value


def _strange(what: str, expected: str) -> InputError:
    return InputError(f"the checkpoint has {what}", expected=expected, fix=_AGAIN)
