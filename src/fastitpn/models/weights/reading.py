"""Reading files of weights from disk without running any code in them."""

import itertools
import pickle
import re
import tarfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from fastitpn.errors import InputError
from fastitpn.json_text import from_json
from fastitpn.models.weights.archives import FileContent, read_archive
from fastitpn.models.weights.checksums import damage_of
from fastitpn.models.weights.damage import AGAIN, EXPECTED, archive_of_others, unreadable
from fastitpn.models.weights.stored import Refused

_SHARD = re.compile(r"(.+)-(\d+)-of-(\d+)(\.\w+)")
_MAX_NAMES = 1000
_STORED = "torch.save(torch.load({!r}, weights_only=True), 'weights.pth')"
_SAFE = "ask its author to save only the tensors: torch.save(model.state_dict(), 'weights.pth')"


def read_content(path: Path) -> FileContent:
    """What a file of weights of any model holds, whatever format it has; no code in it is run.

    Args:
        path: A file, an index of several files, or one of such files: all are read.

    Raises:
        InputError: It is not readable, damaged, no file of weights, or its other files are not there.
    """
    try:
        if path.name.endswith(".index.json"):
            content = _read_indexed(path)
        elif shards := shards_of(path.name):
            content = _read_shards(path, shards)
        else:
            content = _read_file(path)
    except PermissionError:
        raise InputError("you may not read this file", where=path, fix=f"chmod u+r {path}") from None
    if isinstance(content.value, Mapping):
        return content
    if isinstance(content.value, (list, tuple)) and any(isinstance(part, Mapping) for part in content.value):
        return FileContent({str(place): part for place, part in enumerate(content.value)}, content.passed_over)
    if content.passed_over:
        raise refusal(path, content.passed_over)
    kind = type(content.value).__name__
    raise InputError(f"the file holds a {kind}, not a state dict", where=path, expected=EXPECTED, fix=_SAFE)


def shards_of(name: str) -> tuple[str, ...]:
    """Names of all files of the weights of which a file of that name is one of several; none for a file by itself."""
    match = _SHARD.fullmatch(name)
    if match is None:
        return ()
    base, _, count, suffix = match.groups()
    numbers = (str(number).zfill(len(count)) for number in range(1, int(count) + 1))
    return tuple(f"{base}-{number}-of-{count}{suffix}" for number in numbers)


def refusal(path: Path | str, names: Sequence[str]) -> InputError:
    """The error for a file that is nothing without the objects in it."""
    return InputError(
        f"refused to load: the file wants to call {', '.join(map(repr, names))}, and weights need no code",
        where=path,
        expected="tensors and plain values only",
        fix=_SAFE,
    )


def _read_file(path: Path) -> FileContent:
    start = _first_bytes(path)
    if path.suffix == ".safetensors" or (start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") < 1 << 30):
        try:
            return FileContent(load_file(path))
        except Exception as error:  # of Rust: one class for all
            if start[:2] != b"PK" and start[:1] != b"\x80":  # not PyTorch's under a wrong name
                raise unreadable(path, str(error), start) from None
    try:
        is_zip = _check_archive(path, start)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch, on what a strange pickle may contain
            # Mapped into memory: what is not taken, such as an optimiser's state, is not read.
            return FileContent(torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip))
    except InputError:
        raise
    except Exception as error:  # bytes that are no file of weights can make the readers fail in any way
        of_torch = str(error)
    try:
        return read_archive(path)
    except Refused as error:
        raise InputError(f"the file is not read: {error}", where=path, expected=EXPECTED, fix=_SAFE) from None
    except Exception as error:
        known = isinstance(error, (EOFError, pickle.UnpicklingError)) or type(error) is ValueError
        reason = str(error) if known else "what it says of its tensors is damaged"
        reason = of_torch if "PytorchStreamReader" in of_torch else reason
        raise unreadable(path, reason, start) from None


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _check_archive(path: Path, start: bytes) -> bool:
    """Whether it is a zip archive; one, or a tar archive, must be whole and of PyTorch."""
    if is_zip := start[:2] == b"PK" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
            damage = None if packed else damage_of(path, archive)
            if damage is not None:
                reason = f"{path.name} is damaged or incomplete: {damage}"
                raise InputError(reason, where=path, expected=EXPECTED, fix=AGAIN)
    elif start[:2] != b"PK" and tarfile.is_tarfile(path):
        with tarfile.open(path) as members:
            names = list(itertools.islice((member.name for member in members), _MAX_NAMES))
    else:
        return False
    if names and not any(name.endswith("data.pkl") for name in names) and "storages" not in names:
        raise archive_of_others(path, names, is_zip=is_zip)
    if is_zip and packed:  # mapped into memory, its bytes would be taken for numbers as they are
        what = "the file is not read: it is a compressed archive, which PyTorch does not write"
        raise InputError(what, where=path, expected=EXPECTED, fix=_STORED.format(str(path)))
    return is_zip


# ---------------------------------------------------------------------- weights in several files


def _tensors_of_index(path: Path) -> dict[str, str]:
    """Tensor to the file that it is in."""
    try:
        files = from_json(path.read_bytes())["weight_map"]
        if not files or not all(isinstance(name, str) and Path(name).name == name for name in files.values()):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            "this is no index of weights",
            where=path,
            expected="JSON with a weight_map of tensors to files in the same folder",
            fix=AGAIN,
        ) from None
    return dict(files)


def _read_indexed(path: Path) -> FileContent:
    files = _tensors_of_index(path)
    content = _read_shards(path, sorted(set(files.values())))
    absent = [name for name in files if name not in content.value]
    if absent and all(isinstance(value, torch.Tensor) for value in content.value.values()):
        more = f" and {len(absent) - 2} more" if len(absent) > 2 else ""
        raise InputError(
            f"{len(absent)} of the {len(files)} tensors of the index are in none of its files: "
            f"{', '.join(absent[:2])}{more}",
            where=path,
            expected="an index and files that were written together",
            fix="get all of them again",
        )
    return content


def _read_shards(path: Path, names: Sequence[str]) -> FileContent:
    absent = [name for name in names if not (path.parent / name).is_file()]
    if absent:
        more = f" and {len(absent) - 2} more" if len(absent) > 2 else ""
        raise InputError(
            f"{len(absent)} of the {len(names)} files of these weights are not there: {', '.join(absent[:2])}{more}",
            where=path,
            expected=f"all {len(names)} files in {path.parent}",
            fix="get the other files, too",
        )
    tensors: dict[str, Any] = {}
    passed_over: dict[str, None] = {}
    for name in names:
        content = _read_file(path.parent / name)
        if isinstance(content.value, Mapping):
            tensors.update(content.value)
        passed_over |= dict.fromkeys(content.passed_over)
    return FileContent(tensors, tuple(passed_over))
