"""A list of arguments that stands in one dataclass, and in no signature again."""

import functools
import inspect
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

Taken = ParamSpec("Taken")
Made = TypeVar("Made")
Arguments = TypeVar("Arguments")


def takes_fields_of(
    kind: Callable[Taken, Arguments],
) -> Callable[[Callable[[Made, Arguments], None]], Callable[Concatenate[Made, Taken], None]]:
    """Let an `__init__` that is written for one dataclass take its fields as arguments.

    Callers, type checkers and `inspect.signature` (timm's tests among them) see every argument with its default; an
    unknown one is refused; and the list of them stands in the dataclass alone.
    """

    def decorate(init: Callable[[Made, Arguments], None]) -> Callable[Concatenate[Made, Taken], None]:
        @functools.wraps(init)
        def __init__(self: Made, *args: Taken.args, **kwargs: Taken.kwargs) -> None:
            init(self, kind(*args, **kwargs))

        declared, taken = inspect.signature(init), inspect.signature(kind)
        first = next(iter(declared.parameters.values()))
        signature = declared.replace(parameters=[first, *taken.parameters.values()])
        __init__.__signature__ = signature  # type: ignore[attr-defined]
        return __init__

    return decorate
