"""The files that a run learns from, known by name, size and a sample of their content wherever they lie."""

import gzip
import json
import math
import os
import zlib
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from fastitpn.config.fields import Config, fields_of, value_of
from fastitpn.data.images.tar_members import find_member
from fastitpn.files import replacing
from fastitpn.json_text import from_json
from fastitpn.runs.checkpoint import BEST

DATA = "data.json.gz"
"""Name of the list in a run directory."""
DATA_KEYS = ("data", "val", "images", "classes", "probe.data", "weights", "class_weights")
"""Keys that say where files lie: they may change while the files are the same."""
_MOST_NAMED = 5
_CHUNK = 1 << 20

_MOST_SAMPLED = 20_000
"""Files of a run whose content is looked at: reading a little of each takes three times as long as asking their size,
and of a million on a slow disk hours. Of more files those that were changed since are counted, by their time."""
_SAMPLE_BYTES = 4096
_MOST_BYTES, _MOST_TIMES = 1 << 30, 50
"""Of the list, unpacked: that of ten million files has as many, and packed a tenth."""

Listing = Mapping[str, int | list[int]]
"""Name, relative to the folder that a key says, to size in bytes and checksum: of all of a file of labels, of a stretch
in the middle of others; 0 where it is not known, and then the time of the last change in ns.

Runs of earlier versions know sizes alone.
"""
_LABELS = (".json", ".csv", ".tsv", ".txt", ".xml", ".yaml", ".yml", ".names")
"""Files in which a change may keep the size: two names of classes that change places."""


def list_files(config: Config, files: Iterable[Path]) -> Listing:
    """The files of a run.

    Args:
        config: Its keys; those of `DATA_KEYS` that are a file belong to the list.
        files: What its data consists of: images, masks, annotations.
    """
    places = {key: Path(os.path.abspath(path)) for key, path in _paths(config).items()}
    weights = places.get("weights")
    if weights is not None and weights.is_dir():
        places["weights"] = weights / "checkpoints" / BEST
    roots = {path if path.is_dir() else path.parent: key for key, path in reversed(places.items())}
    single = [path for path in places.values() if path.is_file()]
    every = [os.path.abspath(file) for file in chain(files, single)]
    sampled = len(every) <= _MOST_SAMPLED
    prefixes: dict[str, str] = {}
    listing: dict[str, int | list[int]] = {}
    for file in every:
        folder, name = os.path.split(file)
        if folder not in prefixes:
            prefixes[folder] = _prefix(Path(folder), roots)
        listing[prefixes[folder] + name] = _entry(file, sampled)
    return listing


def write_listing(folder: Path, listing: Listing) -> None:
    """Writes the list into a run directory."""
    with replacing(folder / DATA) as file:
        file.write(gzip.compress(json.dumps(listing).encode(), mtime=0))


def read_listing(folder: Path) -> Listing | None:
    """The list of a run; None if it has none, or one that cannot be read."""
    try:
        most = min(_MOST_BYTES, _MOST_TIMES * (folder / DATA).stat().st_size + _SAMPLE_BYTES)
        with gzip.open(folder / DATA) as file:
            content = file.read(most + 1)
        listing: Listing | None = from_json(content) if len(content) <= most else None
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    return listing if isinstance(listing, dict) and all(map(_is_entry, listing.values())) else None


def differences(before: Listing, now: Listing) -> list[str]:
    """What differs, a phrase each: files more, files fewer, files of another size or content."""
    common = [name for name in now if name in before]
    resized = [name for name in common if _size_of(before[name]) != _size_of(now[name])]
    rewritten = [name for name in common if _is_rewritten(before[name], now[name])]
    groups = {
        "more": [name for name in now if name not in before],
        "fewer": [name for name in before if name not in now],
        "of another size": resized,
        "with another content": [name for name in rewritten if name not in resized],
    }
    return [f"data: {_count(names)} {kind}: {_named(names)}" for kind, names in groups.items() if names]


def count_changed(before: Listing, now: Listing) -> int:
    """How many files whose content is not known were changed since, or copied, as their time says."""
    pairs = ((before[name], entry) for name, entry in now.items() if name in before)
    return sum(
        len(old) == len(new) == 3 and old[2] != new[2]
        for old, new in pairs
        if isinstance(old, list) and isinstance(new, list)
    )


def _paths(config: Config) -> dict[str, Path]:
    keys = fields_of(config)
    values = {key: value_of(config, key) for key in DATA_KEYS if key in keys}
    return {key: path for key, path in values.items() if isinstance(path, Path)}


def _prefix(folder: Path, roots: Mapping[Path, str]) -> str:
    """How the names of files in a folder begin: relative to the nearest folder that a key says, else whole."""
    for parent in (folder, *folder.parents):
        if parent in roots:
            inner = folder.relative_to(parent).as_posix()
            return ("" if roots[parent] == "data" else f"{roots[parent]}: ") + ("" if inner == "." else f"{inner}/")
    return f"{folder.as_posix()}/"


def _entry(file: str, sampled: bool) -> int | list[int]:
    try:
        status = os.stat(file)
    except OSError:  # a member of a tar file; what is nowhere is reported where it is read
        place = find_member(file)
        return -1 if place is None else place[1].size
    if file.lower().endswith(_LABELS):
        return [status.st_size, _checksum(file)]
    if sampled:
        return [status.st_size, _checksum(file, max(0, (status.st_size - _SAMPLE_BYTES) // 2), _SAMPLE_BYTES)]
    return [status.st_size, 0, status.st_mtime_ns]


def _size_of(entry: int | list[int]) -> int:
    return entry[0] if isinstance(entry, list) else entry


def _is_entry(entry: object) -> bool:
    numbers = entry if isinstance(entry, list) and len(entry) in (2, 3) else [entry]
    return all(type(number) is int for number in numbers)


def _is_rewritten(before: int | list[int], now: int | list[int]) -> bool:
    sums = [entry[1] if isinstance(entry, list) else 0 for entry in (before, now)]
    return all(sums) and sums[0] != sums[1]


def _checksum(file: str, start: int = 0, most: float = math.inf) -> int:
    """Of a file, or of a stretch of it; 0 if it cannot be read."""
    checksum = 0
    try:
        with open(file, "rb", buffering=0) as opened:
            opened.seek(start)
            while chunk := opened.read(int(min(_CHUNK, most))):
                checksum, most = zlib.crc32(chunk, checksum), most - len(chunk)
    except OSError:
        return 0
    return checksum


def _count(names: list[str]) -> str:
    return f"{len(names)} file{'s' * (len(names) > 1)}"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} others" if len(names) > _MOST_NAMED else ""
    return ", ".join(sorted(names)[:_MOST_NAMED]) + more
