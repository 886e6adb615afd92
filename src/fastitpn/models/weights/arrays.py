"""Arrays of NumPy in a pickle: described while it is read, and made of their bytes afterwards."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastitpn.models.weights.stored import Refused, Stranger

RECONSTRUCT = tuple(f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core"))
"""Functions that NumPy's pickles name for an array; its shape, format and bytes follow as its state."""
_MAX_DIMENSIONS = 64
_CODES = {
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
    "i1": torch.int8,
    "i2": torch.int16,
    "i4": torch.int32,
    "i8": torch.int64,
    "u1": torch.uint8,
    "b1": torch.bool,
}


@dataclass
class NumberType(Stranger):
    """The format of an array's numbers: `code` such as "f4"; its state has the order of their bytes."""

    code: object = None


@dataclass
class StoredArray(Stranger):
    """An array as a pickle describes it; its state is that of NumPy."""

    state: Any = field(default=None)

    def tensor(self) -> Tensor | None:
        """Its numbers, copied; None for those of another kind, such as text.

        Raises:
            Refused: It describes them wrongly.
        """
        state = self.state
        if type(state) is not tuple or len(state) != 5:
            raise Refused("it describes an array wrongly")
        _, shape, numbers, fortran, data = state
        if not isinstance(numbers, NumberType) or numbers.code not in _CODES or type(data) is not bytes:
            return None
        order = numbers.state[1] if type(numbers.state) is tuple and len(numbers.state) > 1 else None
        if order == ">":
            raise Refused("its numbers are stored in big-endian order")
        dtype = _CODES[str(numbers.code)]
        whole = type(shape) is tuple and len(shape) <= _MAX_DIMENSIONS
        if not whole or not all(type(size) is int and size >= 0 for size in shape) or order not in ("<", "|", "="):
            raise Refused("it describes an array wrongly")
        if math.prod(shape) * dtype.itemsize != len(data):
            raise Refused("it describes an array that is larger than its numbers")
        flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return flat.reshape(shape[::-1]).permute(*range(len(shape))[::-1]) if fortran else flat.reshape(shape)
