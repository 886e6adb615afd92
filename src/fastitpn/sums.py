"""Checksums of the files in a folder, written beside them, so that damage shows later."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from fastitpn.files import write_text
from fastitpn.json_text import from_json

SUMS = "sums.json"


def record(folder: Path, *names: str, forget: Collection[str] = ()) -> None:
    """Write down size and SHA-256 of files in a folder; what was known of other files stays.

    Args:
        folder: The folder.
        *names: Files in it; those that are not there are passed over.
        forget: Files that are going to change.

    Raises:
        InputError: The disk is full or not writable.
    """
    before = read(folder) or {}
    sums = {name: entry for name, entry in before.items() if name not in forget}
    sums |= {name: _entry(folder / name) for name in names if (folder / name).is_file()}
    if sums != before:
        write_text(folder / SUMS, json.dumps(sums, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> dict[str, Mapping[str, object]] | None:
    """File to size and SHA-256; None if they cannot be read, and none where none were written."""
    if not (folder / SUMS).is_file():
        return {}
    try:
        sums = from_json((folder / SUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return sums if isinstance(sums, dict) else None


def difference(path: Path, entry: Mapping[str, object]) -> str | None:
    """How a file differs from what was written down; None if it is whole."""
    if not path.is_file():
        return "it is missing"
    now = _entry(path)
    if now == entry:
        return None
    if not isinstance(entry, dict) or now["bytes"] != entry.get("bytes"):
        size = entry.get("bytes") if isinstance(entry, dict) else None
        return f"it has {now['bytes']:,} bytes and had {size:,}" if isinstance(size, int) else "its entry is damaged"
    return "its content is not what was written"


def _entry(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
