"""What files of PyTorch say about their tensors: descriptions, checked before anything is made of them."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

_MAX_DIMENSIONS = 64
INT64 = 1 << 63
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
_DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}


class Refused(Exception):
    """A pickle does something that no file of weights has to do."""


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names, such as "torch.FloatStorage"."""

    text: str


@dataclass(frozen=True)
class Storage:
    """Numbers of a file that were not read yet.

    Attributes:
        key: What the file calls them.
        dtype: Their format; None for bytes, whose format each tensor says.
        numel: How many there are.
        start: The first of them, in the storage of that key.
    """

    key: str | int
    dtype: torch.dtype | None
    numel: int
    start: int = 0


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a pickle describes it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


@dataclass
class Stranger:
    """An object of a class that is passed over; what it holds may still be tensors.

    Attributes:
        name: The class, or the function that was to make the object.
        items: What was set as in a dictionary.
        state: What the class would have taken as the object's attributes.
    """

    name: str
    items: dict[Any, Any] = field(default_factory=dict)
    state: Any = None


def dtype_of(name: object) -> torch.dtype | None:
    """Number format of a storage's class, such as `torch.HalfStorage`, or of a name such as `torch.float16`.

    Raises:
        Refused: It is neither.
    """
    module, _, last = name.text.rpartition(".") if isinstance(name, Name) else ("", "", "")
    if last == "UntypedStorage":
        return None
    dtype = _STORAGES.get(last) or _DTYPES.get(last)
    if dtype is None or not module.startswith("torch"):
        raise Refused("it has numbers of an unknown format")
    return dtype


def describe_tensor(
    storage: object, offset: Any, shape: object, stride: object, dtype: torch.dtype | None = None
) -> StoredTensor:
    """A tensor, after a check that it lies within its storage.

    Raises:
        Refused: It does not, or it is no description of a tensor.
    """
    if not (isinstance(storage, Storage) and isinstance(shape, tuple) and isinstance(stride, tuple)):
        raise Refused("it describes a tensor wrongly")
    numbers = (offset, *shape[: _MAX_DIMENSIONS + 1], *stride[: _MAX_DIMENSIONS + 1])
    if not len(shape) == len(stride) <= _MAX_DIMENSIONS or any(
        type(number) is not int or not 0 <= number < INT64 for number in numbers
    ):
        raise Refused("it describes a tensor wrongly")
    dtype = storage.dtype or dtype
    if dtype is None:
        raise Refused("it has numbers of an unknown format")
    held = storage.numel if storage.dtype is not None else storage.numel // dtype.itemsize
    elements = math.prod(shape)
    last = numbers[0] + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if elements and (last >= held or elements > held):
        raise Refused("it describes a tensor that is larger than its numbers")
    return StoredTensor(storage, numbers[0], shape, stride, dtype)


def storage_of(pid: Any) -> Any:
    """What the persistent id of a storage describes, in the formats of PyTorch 0.2 and later.

    Raises:
        Refused: It describes anything else.
    """
    kind, *data = pid if isinstance(pid, tuple) else (None,)
    kind = kind.decode("latin1") if isinstance(kind, bytes) else kind
    if kind == "module" and data:  # a class whose source the old format keeps
        return data[0]
    if kind != "storage" or len(data) not in (4, 5):
        raise Refused("it refers to something beside its storages")
    key, numel = data[1], data[3]
    if not isinstance(key, (str, int)) or type(numel) is not int or numel < 0:
        raise Refused("it describes a storage wrongly")
    dtype = dtype_of(data[0])
    view = data[4] if len(data) == 5 else None
    if view is None:
        return Storage(key, dtype, numel)
    if not isinstance(view, tuple) or len(view) != 3 or not all(type(n) is int and n >= 0 for n in view[1:]):
        raise Refused("it describes a storage wrongly")
    if view[1] + view[2] > numel:
        raise Refused("it describes a part of a storage that is larger than the storage")
    return Storage(key, dtype, view[2], start=view[1])
