"""The trunk and the pyramid compiled with torch.compile, for verbs that run a model on many images."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fastitpn.console import say
from fastitpn.errors import is_out_of_memory
from fastitpn.models.backbone import FastITPN

BACKEND = "inductor"
"""What torch.compile compiles with."""
MOST_SIZES = 8
"""Sizes of batches that are compiled: each takes a while, and beyond so many PyTorch would quietly give up."""


def compile_backbone(backbone: FastITPN) -> None:
    """Compile trunk and pyramid when they are first used; the weights and the results stay, up to rounding.

    Args:
        backbone: In evaluation mode; heads on it are not touched.
    """
    failure = Failure()
    backbone._encode = CompiledPart(backbone._encode, failure)  # type: ignore[method-assign, assignment]
    backbone.pyramid_cells = CompiledPart(backbone.pyramid_cells, failure)  # type: ignore[method-assign, assignment]


class Failure:
    """Whether compiling failed, which is said once; all goes on without."""

    def __init__(self) -> None:
        self.failed = False

    def tell(self, error: Exception) -> None:
        """Says why."""
        self.failed = True
        reason = " ".join(str(error).split())[:200]
        say(f"compile=true failed; the command continues without it: {type(error).__name__}: {reason}")


class CompiledPart:
    """A function that is compiled for each size that comes a second time: one that comes once is not worth it.

    Args:
        plain: A function of tensors or lists of them.
        failure: Shared by all parts.
    """

    def __init__(self, plain: Callable[..., Any], failure: Failure):
        self._plain, self._failure = plain, failure
        self._compiled = torch.compile(plain, dynamic=False, backend=BACKEND)
        self._seen: Counter[Any] = Counter()
        self._sizes: set[Any] = set()

    def __call__(self, *inputs: Any) -> Any:
        """What the plain function gives for the same inputs."""
        if self._failure.failed or not self._pays(tuple(map(_size_of, inputs))):
            return self._plain(*inputs)
        try:
            return self._compiled(*inputs)
        except Exception as error:  # compilers raise what they like
            if is_out_of_memory(error):
                raise
            self._failure.tell(error)
            return self._plain(*inputs)

    def _pays(self, size: Any) -> bool:
        self._seen[size] += 1
        if size in self._sizes:
            return True
        if self._seen[size] == 1 or len(self._sizes) == MOST_SIZES:
            return False
        self._sizes.add(size)
        return True


def _size_of(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape
    return tuple(map(_size_of, value)) if isinstance(value, list) else value
