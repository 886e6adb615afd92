"""How a file is run."""

from collections.abc import Callable

from torch import Tensor

Runner = Callable[[Tensor], list[Tensor]]
"""From images [B, 3, H, W] to the outputs of a file."""
