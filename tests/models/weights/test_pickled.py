"""Files that hold objects give up their tensors, and nothing in them is looked up or called."""

import argparse
import collections
import contextlib
import datetime
import io
import os
import pathlib
import pickle
import struct
import sys
import tarfile
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.weights.archives import read_archive
from fastitpn.models.weights.reading import read_content
from fastitpn.models.weights.stored import Refused

TENSORS = {
    "a": torch.arange(12.0).view(3, 4),
    "b": torch.arange(12.0).view(3, 4).t()[1:],
    "half": torch.ones(3, dtype=torch.float16),
    "long": torch.tensor(7),
    "none": torch.zeros(0, 3),
    "yes": torch.tensor([True, False]),
    "brain": torch.ones(2, dtype=torch.bfloat16),
    "float8": torch.ones(2, dtype=torch.float8_e4m3fn),
    "parameter": nn.Parameter(torch.ones(2)),
}


class Settings:
    """Of a training, with a value, and as a dictionary."""

    def __init__(self, **values: Any):
        self.__dict__.update(values)


class Easy(dict):
    """A dictionary with attributes, as EasyDict."""


class Slots:
    __slots__ = ("value",)


def in_a_lost_module(kind: type, name: str) -> Any:
    """An object of a class that can be written, but not be imported again."""
    module = sys.modules.setdefault("lost", types.ModuleType("lost"))
    setattr(module, name, type(name, (kind,), {"__module__": "lost"}))
    return getattr(module, name)()


def slots(value: Any) -> Slots:
    made = Slots()
    made.value = value
    return made


OBJECTS: dict[str, Any] = {
    "NumPy number": np.float64(0.83),
    "NumPy array": np.zeros(3),
    "NumPy random state": np.random.RandomState(0),
    "path": pathlib.PosixPath("/out"),
    "namespace": argparse.Namespace(output_dir=pathlib.PosixPath("/out"), lr=1e-3),
    "defaultdict": collections.defaultdict(list, a=[1]),
    "counter": collections.Counter("aab"),
    "deque": collections.deque([1, 2]),
    "date": datetime.datetime(2024, 1, 1),
    "set": {1, 2},
    "frozen set of tuples": frozenset({(1, 2)}),
    "tuple as a key": {(1, (2, 3)): 4},
    "settings": Settings(lr=0.1, inner=Settings(a=1)),
    "easy dictionary": Easy(use_nlp=Easy(COCO=True)),
    "slots": slots(3),
    "class": Settings,
    "function": os.path.join,
    "dtype": torch.float16,
    "device": torch.device("cpu"),
    "size": torch.Size([2, 3]),
    "complex": 1 + 2j,
    "range": range(3),
    "error": ValueError("no"),
    "ordered": collections.OrderedDict(a=collections.OrderedDict(b=1)),
    "bytes": bytearray(b"abc"),
    "large number": 1 << 100,
    "generator": torch.Generator().get_state(),
}


def old(content: Any, path: Path, protocol: int = 2) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False, pickle_protocol=protocol)


def with_instances(path: Path, opcodes: bytes) -> None:
    """A file whose objects stand between other values."""
    in_zip(b"(K\x01" + opcodes + b"K\x02l", path)


@pytest.mark.parametrize("opcodes", [b"(Nilost\nLost\n", b"(clost\nLost\nNo", b"(K\x05K\x06\x91"])
def test_what_follows_an_object_is_read_on(opcodes: bytes, tmp_path: Path) -> None:
    with_instances(tmp_path / "x.pth", opcodes)
    first, between, last = read_archive(tmp_path / "x.pth").value["a"]
    assert (first, last) == (1, 2)
    assert between in (None, [5, 6])


WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "zip": torch.save,
    "zip protocol 4": lambda content, path: torch.save(content, path, pickle_protocol=4),
    "old": old,
    "old protocol 4": lambda content, path: old(content, path, 4),
}


def assert_tensors(value: dict[str, Tensor]) -> None:
    for name, tensor in TENSORS.items():
        assert value[name].dtype == tensor.dtype
        assert value[name].shape == tensor.shape
        assert torch.equal(value[name].float(), tensor.float())


@pytest.mark.parametrize("writer", WRITERS)
def test_every_format_of_numbers_is_read_bit_for_bit(writer: str, tmp_path: Path) -> None:
    WRITERS[writer]({**TENSORS, "settings": Settings()}, tmp_path / "x.pth")
    assert_tensors(read_archive(tmp_path / "x.pth").value)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", OBJECTS)
def test_tensors_beside_an_object(name: str, writer: str, tmp_path: Path) -> None:
    WRITERS[writer]({"x": OBJECTS[name], "model": {"a": TENSORS["a"]}, "y": [OBJECTS[name]]}, tmp_path / "x.pth")
    value = read_content(tmp_path / "x.pth").value
    assert torch.equal(value["model"]["a"], TENSORS["a"])
    assert_plain(read_archive(tmp_path / "x.pth").value)


def assert_plain(value: Any) -> None:
    if isinstance(value, dict):
        assert type(value) is dict
        assert all(type(key) in (str, int, float, bool, bytes, type(None)) for key in value)
        for inner in value.values():
            assert_plain(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            assert_plain(inner)
    else:
        assert type(value) in (str, int, float, bool, bytes, type(None), Tensor)


def test_what_is_passed_over_is_named_and_what_is_plain_is_kept(tmp_path: Path) -> None:
    settings = Settings(lr=0.1, path=pathlib.PosixPath("/a"), again=Easy(COCO=True))
    torch.save({"s": settings, "n": np.float64(1), "args": argparse.Namespace(lr=2)}, tmp_path / "x.pth")
    content = read_archive(tmp_path / "x.pth")
    assert content.value["s"] == {"lr": 0.1, "path": None, "again": {"COCO": True}}
    assert content.value["args"] == {"lr": 2}
    assert content.value["n"] is None
    assert {f"{__name__}.Settings", f"{__name__}.Easy", "pathlib.PosixPath"} < set(content.passed_over)
    assert not any("Namespace" in name or "_codecs" in name for name in content.passed_over)


def test_classes_that_are_not_there(tmp_path: Path) -> None:
    torch.save(
        {"a": in_a_lost_module(object, "Lost"), "b": in_a_lost_module(dict, "Gone"), "t": torch.ones(1)},
        tmp_path / "x.pth",
    )
    del sys.modules["lost"]
    content = read_archive(tmp_path / "x.pth")
    assert torch.equal(content.value["t"], torch.ones(1))
    assert content.passed_over == ("lost.Lost", "lost.Gone")


def test_a_whole_module_and_containers_that_hold_themselves(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    torch.save({"model": nn.Sequential(nn.Linear(2, 3)), "endless": endless}, tmp_path / "x.pth")
    value = read_archive(tmp_path / "x.pth").value
    assert value["model"]["_modules"]["0"]["_parameters"]["weight"].shape == (3, 2)
    assert value["endless"][0] is value["endless"]


def test_tensors_that_share_numbers_still_do(tmp_path: Path) -> None:
    tensor = torch.arange(6.0)
    torch.save({"a": tensor, "b": tensor, "c": tensor[2:], "s": Settings()}, tmp_path / "x.pth")
    value = read_archive(tmp_path / "x.pth").value
    assert value["a"] is not None
    assert value["a"].data_ptr() + 8 == value["c"].data_ptr()
    assert value["a"].data_ptr() == value["b"].data_ptr()


def test_the_first_format(tmp_path: Path) -> None:
    """A tar archive of storages, tensors and a pickle that refers to them, as PyTorch wrote before 0.1.10."""
    storages = pickle.dumps(1, 2) + pickle.dumps((10, "cpu", torch.FloatStorage), 2)
    storages += struct.pack("<q4f", 4, 1, 2, 3, 4) + pickle.dumps([(11, 10, 2, 2)], 2)
    tensors = pickle.dumps(2, 2)
    for key, storage, shape, stride, offset in ((20, 10, (2, 2), (2, 1), 0), (21, 11, (2,), (1,), 0)):
        tensors += pickle.dumps((key, storage, torch.FloatTensor), 2)
        tensors += struct.pack(f"<ii{len(shape)}q{len(shape)}qq", len(shape), 0, *shape, *stride, offset)

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return str(value.item()) if isinstance(value, Tensor) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({"a": torch.tensor(20), "b": torch.tensor(21), "s": Settings()})
    with tarfile.open(tmp_path / "x.pth", "w") as archive:
        for name, data in (("storages", storages), ("tensors", tensors), ("pickle", buffer.getvalue())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    value = read_content(tmp_path / "x.pth").value
    assert value["a"].tolist() == [[1, 2], [3, 4]]
    assert value["b"].tolist() == [3, 4]


# ------------------------------------------------------------------ nothing runs

_MKDIR = b"cos\nmkdir\n"


def payloads(canary: Path) -> dict[str, bytes]:
    """Pieces of pickle that make a folder where they are read carelessly, each leaving one object on the stack."""
    text = str(canary).encode()
    name = b"X" + struct.pack("<I", len(text)) + text
    nested = io.BytesIO()
    torch.save({"a": _Mkdir(str(canary))}, nested, _use_new_zipfile_serialization=False)
    inner = nested.getvalue()
    evil = b"\x8c\x02os\x8c\x05mkdir\x93"
    return {
        "REDUCE": _MKDIR + name + b"\x85R",
        "REDUCE, named on the stack": evil + name + b"\x85R",
        "INST": b"(" + name + b"ios\nmkdir\n",
        "OBJ": b"(" + _MKDIR + name + b"o",
        "NEWOBJ": _MKDIR + name + b"\x85\x81",
        "NEWOBJ_EX": _MKDIR + name + b"\x85}\x92",
        "BUILD": b"c" + __name__.encode() + b"\nEvil\n)R" + name + b"b",
        "SETITEM": b"c" + __name__.encode() + b"\nEvil\n)R" + name + b"Ns",
        "SETITEMS": b"c" + __name__.encode() + b"\nEvil\n)R(" + name + b"Nu",
        "APPEND": b"c" + __name__.encode() + b"\nEvil\n)R" + name + b"a",
        "APPENDS": b"c" + __name__.encode() + b"\nEvil\n)R(" + name + b"e",
        "ADDITEMS": b"c" + __name__.encode() + b"\nEvil\n)R(" + name + b"\x90",
        "PERSID": b"P" + text + b"\n",
        "BINPERSID": _MKDIR + name + b"\x85RQ",
        "EXT1": b"\x82\x01",
        "partial": b"cfunctools\npartial\n" + _MKDIR + name + b"\x86R)R",
        "rebuilt from a type": b"ctorch._tensor\n_rebuild_from_type_v2\n(" + _MKDIR + b"N" + name + b"\x85NtR",
        "a file in a file": b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner)) + inner + b"\x85R",
    }


class _Mkdir:
    def __init__(self, path: str):
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


class Evil(list):
    """Makes a folder in every way in which an unpickler can touch an object."""

    def append(self, value: Any) -> None:
        os.mkdir(value)

    def extend(self, values: Any) -> None:
        os.mkdir(next(iter(values)))

    def __setitem__(self, key: Any, value: Any) -> None:
        os.mkdir(key)

    def __setstate__(self, state: Any) -> None:
        os.mkdir(state)

    def add(self, value: Any) -> None:
        os.mkdir(value)


def in_zip(piece: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}X\x01\x00\x00\x00a" + piece + b"s.")
        archive.writestr("x/version", "3\n")


def in_old(place: int) -> Callable[[bytes, Path], None]:
    """The old format, with the piece in one of its five pickles."""

    def write(piece: bytes, path: Path) -> None:
        parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}, {}, [])]
        parts[place] = b"\x80\x02" + piece + b"."
        path.write_bytes(b"".join(parts))

    return write


PLACES = {"zip": in_zip, **{f"pickle {place} of the old format": in_old(place) for place in range(5)}}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", payloads(Path("x")))
def test_nothing_fires(kind: str, place: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    PLACES[place](payloads(canary)[kind], tmp_path / "x.pth")
    try:
        assert_plain(read_content(tmp_path / "x.pth").value)
    except InputError as error:
        assert error.fix  # noqa: PT017  some are read, and the others refused
    assert not canary.exists()


def test_the_canaries_sing_when_read_carelessly(tmp_path: Path) -> None:
    silent = {"PERSID", "BINPERSID", "EXT1"}
    for number, kind in enumerate(set(payloads(Path())) - silent):
        canary = tmp_path / str(number)
        piece = payloads(canary)[kind]
        with contextlib.suppress(TypeError, AttributeError, pickle.UnpicklingError):  # after it ran
            pickle.loads(b"\x80\x04" + piece + b".")
        if kind not in ("NEWOBJ", "NEWOBJ_EX"):  # for classes only
            assert canary.exists(), kind


# ------------------------------------------------------------------ limits


def storage(size: int, count: int = 4, kind: bytes = b"FloatStorage") -> bytes:
    """The persistent id of a storage with `count` numbers."""
    return (
        b"(X\x07\x00\x00\x00storagectorch\n"
        + kind
        + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuM%btQ" % struct.pack("<H", count)
    )


def tensor(shape: bytes, stride: bytes, offset: bytes = b"K\x00", **kw: Any) -> bytes:
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(4, **kw) + offset + shape + stride + b"\x89}tR"


BOMBS = {
    "a tensor larger than its numbers": tensor(b"M\xff\xff\x85", b"K\x00\x85"),
    "a tensor beyond its numbers": tensor(b"K\x03\x85", b"K\x01\x85", b"K\x02"),
    "a negative stride": tensor(b"K\x02\x85", b"J\xff\xff\xff\xff\x85"),
    "a negative offset": tensor(b"K\x02\x85", b"K\x01\x85", b"J\xff\xff\xff\xff"),
    "a storage larger than the file": tensor(b"K\x02\x85", b"K\x01\x85", count=60000),
    "numbers of an unknown format": tensor(b"K\x02\x85", b"K\x01\x85", kind=b"WrongStorage"),
    "more dimensions than there are": tensor(b"(" + b"K\x01" * 100 + b"t", b"(" + b"K\x01" * 100 + b"t"),
    "deep tuples": b"N" + b"\x85" * 20_000,
    "deep lists": b"]" * 1000 + b"a" * 999,
    "a large index of the memo": b"Nr\xff\xff\xff\xff",
    "a name of many letters": b"c" + b"a" * 10_000 + b"\nb\n",
    "text of more bytes than the file": b"\x8d" + struct.pack("<Q", 1 << 40) + b"a",
    "a frame of more bytes than the file": b"\x95" + struct.pack("<Q", 1 << 40) + b"N",
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.timeout(20)
def test_bombs(kind: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}X\x01\x00\x00\x00a" + BOMBS[kind] + b"s.")
        archive.writestr("x/data/0", bytes(16))
    try:
        assert_plain(read_archive(tmp_path / "x.pth").value)
        assert kind == "a large index of the memo"
    except (Refused, EOFError, ValueError, pickle.UnpicklingError):
        pass


def test_a_key_that_takes_forever_to_hash_is_left_out(tmp_path: Path) -> None:
    pairs = b")" + b"2\x86" * 200  # of a pair twice: 2^200 tuples to hash
    in_zip(b"}" + pairs + b"Ns", tmp_path / "x.pth")
    assert read_archive(tmp_path / "x.pth").value == {"a": {}}


@pytest.mark.parametrize("change", ["compressed", "two pickles", "big-endian"])
def test_archives_that_pytorch_does_not_write(change: str, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(300), "s": Settings()}, tmp_path / "a.pth")
    compression = zipfile.ZIP_DEFLATED if change == "compressed" else zipfile.ZIP_STORED
    with zipfile.ZipFile(tmp_path / "a.pth") as good, zipfile.ZipFile(tmp_path / "x.pth", "w", compression) as new:
        for name in good.namelist():
            new.writestr(name, b"big" if name.endswith("byteorder") and change == "big-endian" else good.read(name))
        if change == "two pickles":
            new.writestr("other/data.pkl", b"N.")
    with pytest.raises(InputError, match="the file is not read: it"):
        read_content(tmp_path / "x.pth")
