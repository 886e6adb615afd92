"""Files of PyTorch, in each of its three formats, read for tensors and plain values alone."""

import io
import mmap
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastitpn.models.weights.arrays import NumberType, StoredArray
from fastitpn.models.weights.checksums import HEADER_BYTES, data_start
from fastitpn.models.weights.pickled import TensorUnpickler
from fastitpn.models.weights.stored import (
    Name,
    Refused,
    Storage,
    StoredTensor,
    Stranger,
    describe_tensor,
    dtype_of,
    storage_of,
)

_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_DEPTH = 64
"""Containers in containers: networks stay below it, and a bomb does not."""


@dataclass(frozen=True)
class FileContent:
    """What a file holds.

    Attributes:
        value: Tensors and plain values in dictionaries, lists and tuples.
        passed_over: Classes and functions of objects that were left out, such as "lib.train.Settings".
    """

    value: Any
    passed_over: tuple[str, ...] = ()


@dataclass
class _Memory:
    """A file in memory, read where it is touched, and where its storages lie in it."""

    file: mmap.mmap
    starts: dict[str | int, tuple[int, int]] = field(default_factory=dict)
    """Key of a storage to its first byte and its number of bytes."""

    def tensor(self, stored: StoredTensor) -> Tensor:
        """A tensor on the memory of the file, which is not written to."""
        storage, dtype = stored.storage, stored.dtype
        if storage.key not in self.starts:
            raise Refused("it describes tensors whose numbers it does not have")
        start, size = self.starts[storage.key]
        start += storage.start * dtype.itemsize
        numel = storage.numel if storage.dtype is not None else storage.numel // dtype.itemsize
        if (storage.start + numel) * dtype.itemsize > size:
            raise Refused("it describes a storage that is larger than its numbers")
        if numel == 0:
            return torch.empty(stored.shape, dtype=dtype)
        if start % dtype.itemsize:
            flat = torch.frombuffer(bytearray(self.file[start : start + numel * dtype.itemsize]), dtype=dtype)
        else:
            flat = torch.frombuffer(self.file, dtype=dtype, count=numel, offset=start)
        return flat.as_strided(stored.shape, stored.stride, stored.offset)

    def integers(self, count: int, letter: str = "q") -> tuple[int, ...]:
        """The next whole numbers of the file."""
        return struct.unpack(f"<{count}{letter}", self.file.read(struct.calcsize(f"<{count}{letter}")))


def read_archive(path: Path) -> FileContent:
    """Read a file of `torch.save`, of any version; nothing that it names is called.

    Raises:
        Refused: It does what no file of weights has to do.
        Exception: It is damaged, or no such file.
    """
    with path.open("rb") as file:
        memory = _Memory(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    if zipfile.is_zipfile(path):
        unpickler = _read_zip(path, memory)
    elif memory.file[:2] == b"PK":
        raise ValueError("it ends too early")
    elif tarfile.is_tarfile(path):
        unpickler = _read_tar(path, memory)
    else:
        unpickler = _read_stream(memory)
    return FileContent(_Plain(memory).value(unpickler.result), tuple(unpickler.passed_over))


class _Reader(TensorUnpickler):
    """A pickle, read at once."""

    def __init__(self, memory: Any, persistent_load: Callable[[Any], Any] | None = None):
        super().__init__(memory, persistent_load)
        self.result = self.load()


def _read_zip(path: Path, memory: _Memory) -> _Reader:
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise Refused("it is a zip archive, but not of PyTorch")
        folder = pickles[0].removesuffix("data.pkl")
        data = [member for name, member in members.items() if name == pickles[0] or name.startswith(f"{folder}data/")]
        sizes = sum(member.file_size for member in data)
        if sizes > len(memory.file) or any(member.compress_type != zipfile.ZIP_STORED for member in data):
            raise Refused("it is a compressed archive, which PyTorch does not write")
        if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
            raise Refused("its numbers are stored in big-endian order")
        with path.open("rb", buffering=0) as file:  # touched in the mapping, each header brings up to 2 MiB with it
            for name, member in members.items():
                if name.startswith(f"{folder}data/"):
                    file.seek(member.header_offset)
                    start = data_start(member, file.read(HEADER_BYTES))
                    memory.starts[name.removeprefix(f"{folder}data/")] = (start, member.file_size)
        return _Reader(io.BytesIO(archive.read(pickles[0])))


def _read_stream(memory: _Memory) -> _Reader:
    """The format until PyTorch 1.5: pickles one after the other, and then the storages."""
    try:
        magic = _Reader(memory.file).result
    except Exception:  # any bytes at all
        magic = None
    if magic != _MAGIC:
        raise ValueError("it does not begin as files of PyTorch do")
    for _ in range(2):
        _Reader(memory.file)  # version of the format, and about the machine
    formats: dict[str | int, int] = {}

    def remember(pid: Any) -> Any:
        storage = storage_of(pid)
        if isinstance(storage, Storage):
            formats[storage.key] = storage.dtype.itemsize if storage.dtype is not None else 1
        return storage

    content = _Reader(memory.file, remember)
    keys = _Reader(memory.file).result
    for key in keys if type(keys) is list else ():
        _add_storage(memory, key, formats[key])
    return content


def _add_storage(memory: _Memory, key: str | int, itemsize: int) -> None:
    (numel,) = memory.integers(1)
    start = memory.file.tell()
    size = numel * itemsize
    if not 0 <= size <= len(memory.file) - start:
        raise ValueError("it ends too early")
    memory.starts[key] = (start, size)
    memory.file.seek(start + size)


def _read_tar(path: Path, memory: _Memory) -> _Reader:
    """The format until PyTorch 0.1.9: storages, tensors, and the pickle that refers to them by number."""
    with tarfile.open(path, "r:") as archive:
        starts = {member.name: member.offset_data for member in archive.getmembers() if member.isreg()}
    known: dict[Any, Any] = {}
    memory.file.seek(starts["storages"])
    for _ in range(_count(memory)):
        key, _location, kind = _Reader(memory.file).result
        dtype = dtype_of(kind)
        before = memory.file.tell()
        _add_storage(memory, key, dtype.itemsize if dtype is not None else 1)
        (numel,) = struct.unpack_from("<q", memory.file, before)
        known[key] = Storage(key, dtype, numel)
    for key, root, offset, numel in _Reader(memory.file).result:
        known[key] = Storage(known[root].key, known[root].dtype, numel, start=offset)
    memory.file.seek(starts["tensors"])
    for _ in range(_count(memory)):
        key, storage, _kind = _Reader(memory.file).result
        ndim, _ = memory.integers(2, "i")
        shape, stride, (offset,) = memory.integers(ndim), memory.integers(ndim), memory.integers(1)
        known[key] = describe_tensor(known[storage], offset, shape, stride)
    memory.file.seek(starts["pickle"])
    return _Reader(memory.file, lambda pid: pid[0] if isinstance(pid, tuple) else known[int(pid)])


def _count(memory: _Memory) -> int:
    number = _Reader(memory.file).result
    if type(number) is not int or number > len(memory.file):
        raise ValueError("it ends too early")
    return number


class _Plain:
    """Tensors and plain values of what a pickle described, each container once."""

    def __init__(self, memory: _Memory):
        self._memory = memory
        self._made: dict[int, Any] = {}

    def value(self, described: Any, depth: int = 0) -> Any:
        """A plain value; None for what only a class could have made."""
        if isinstance(described, StoredTensor):
            return self._once(described, lambda: self._memory.tensor(described))
        if isinstance(described, StoredArray):
            return self._once(described, described.tensor)
        if isinstance(described, (Name, Storage, NumberType)):
            return None
        if not isinstance(described, (dict, list, tuple, Stranger)):
            return described
        if depth > _MAX_DEPTH:
            raise Refused(f"it has containers in containers, more than {_MAX_DEPTH} deep")
        if id(described) in self._made:
            return self._made[id(described)]
        if isinstance(described, tuple):
            return self._once(described, lambda: tuple(self.value(part, depth + 1) for part in described))
        if isinstance(described, list):
            values: list[Any] = self._once(described, list)
            values += [self.value(part, depth + 1) for part in described]
            return values
        items: dict[Any, Any] = self._once(described, dict)
        parts: list[dict[Any, Any]] = [described] if isinstance(described, dict) else []
        if isinstance(described, Stranger):
            states = described.state if isinstance(described.state, tuple) else (described.state,)
            parts = [described.items, *(state for state in states if type(state) is dict)]
            if not any(parts):
                self._made[id(described)] = None
                return None
        for part in parts:
            items.update({key: self.value(inner, depth + 1) for key, inner in part.items()})
        return items

    def _once(self, described: Any, make: Callable[[], Any]) -> Any:
        if id(described) not in self._made:
            self._made[id(described)] = make()
        return self._made[id(described)]
