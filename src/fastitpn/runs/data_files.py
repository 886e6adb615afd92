"""The files that a run learns from, known by name and size wherever they lie."""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from fastitpn.config.fields import Config, fields_of, value_of
from fastitpn.data.images.tar_members import find_member
from fastitpn.files import replacing
from fastitpn.runs.checkpoint import BEST

DATA = "data.json.gz"
"""Name of the list in a run directory."""
DATA_KEYS = ("data", "val", "images", "classes", "probe.data", "weights", "class_weights")
"""Keys that say where files lie: they may change while the files are the same."""
_MOST_NAMED = 5
_CHUNK = 1 << 20

Listing = Mapping[str, int | list[int]]
"""Name, relative to the folder that a key says, to size in bytes; for files of labels with the checksum of their text.

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
    prefixes: dict[str, str] = {}
    listing: dict[str, int | list[int]] = {}
    for file in map(os.path.abspath, (*files, *single)):
        folder, name = os.path.split(file)
        if folder not in prefixes:
            prefixes[folder] = _prefix(Path(folder), roots)
        size = _size(file)
        listing[prefixes[folder] + name] = [size, _checksum(file)] if name.lower().endswith(_LABELS) else size
    return listing


def write_listing(folder: Path, listing: Listing) -> None:
    """Writes the list into a run directory."""
    with replacing(folder / DATA) as file:
        file.write(gzip.compress(json.dumps(listing).encode(), mtime=0))


def read_listing(folder: Path) -> Listing | None:
    """The list of a run; None if it has none, or one that cannot be read."""
    try:
        listing: Listing = json.loads(gzip.decompress((folder / DATA).read_bytes()))
    except (OSError, EOFError, ValueError):
        return None
    return listing


def differences(before: Listing, now: Listing) -> list[str]:
    """What differs, a phrase each: files more, files fewer, files of another size or content."""
    common = [name for name in now if name in before]
    resized = [name for name in common if _size_of(before[name]) != _size_of(now[name])]
    rewritten = [name for name in common if isinstance(before[name], list) and before[name] != now[name]]
    groups = {
        "more": [name for name in now if name not in before],
        "fewer": [name for name in before if name not in now],
        "of another size": resized,
        "with another content": [name for name in rewritten if name not in resized],
    }
    return [f"data: {_count(names)} {kind}: {_named(names)}" for kind, names in groups.items() if names]


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


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size
    except OSError:  # a member of a tar file; what is nowhere is reported where it is read
        place = find_member(file)
        return -1 if place is None else place[1].size


def _size_of(entry: int | list[int]) -> int:
    return entry[0] if isinstance(entry, list) else entry


def _checksum(file: str) -> int:
    """Of a file; 0 of a member of a tar file, which is known by its size."""
    checksum = 0
    try:
        with open(file, "rb") as opened:
            while chunk := opened.read(_CHUNK):
                checksum = zlib.crc32(chunk, checksum)
    except OSError:
        return 0
    return checksum


def _count(names: list[str]) -> str:
    return f"{len(names)} file{'s' * (len(names) > 1)}"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} others" if len(names) > _MOST_NAMED else ""
    return ", ".join(sorted(names)[:_MOST_NAMED]) + more
