"""A bound on what building a model may take, so that a few numbers in a file cannot fill the memory."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_SPARE_BYTES, _SPARE_TENSORS = 1 << 30, 5000
"""For tables that are computed and not stored."""
_TIMES = 20
"""New tensors for one that is stored: layers fill theirs, and some do twice."""


class Bound(TorchDispatchMode):
    """While it is entered, no more is made than a model with these tensors needs: twice theirs, and some to spare.

    Args:
        tensors: Name to tensor, as a checkpoint has them.
    """

    def __init__(self, tensors: Mapping[str, Any]):
        super().__init__()
        stored = [tensor for tensor in tensors.values() if isinstance(tensor, Tensor)]
        self.bytes_left = 8 * sum(tensor.numel() for tensor in stored) + _SPARE_BYTES
        self.tensors_left = _TIMES * len(stored) + _SPARE_TENSORS

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what is about to be made.

        Raises:
            ValueError: It is more than that.
        """
        shape = args[0] if args else None
        if isinstance(shape, (list, tuple)) and all(isinstance(side, int) for side in shape):
            dtype = (kwargs or {}).get("dtype") or torch.get_default_dtype()
            self.bytes_left -= math.prod(shape) * dtype.itemsize
            self.tensors_left -= 1
            if self.bytes_left < 0:
                raise ValueError(f"a tensor of {' x '.join(map(str, shape))} is larger than all that the file has")
            if self.tensors_left < 0:
                raise ValueError("it has many more layers than the file has tensors")
        return func(*args, **(kwargs or {}))
