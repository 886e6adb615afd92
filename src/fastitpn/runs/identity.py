"""What makes a run this one and no other: settings and data of its beginning, which its checkpoints carry."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.json_text import from_json

FILE, KEY = "run.json", "run"


def begin(directory: Path, settings: Mapping[str, Any], listing: Mapping[str, Any] | None) -> None:
    """Write the identity of a new run into its directory.

    Args:
        directory: The new run's.
        settings: Keys that change what it computes.
        listing: Its files of data, their sizes and checksums.
    """
    content = json.dumps([settings, listing], sort_keys=True, default=str)
    identity = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:32]
    write_text(directory / FILE, json.dumps({"id": identity}) + "\n")


def read(directory: Path) -> str | None:
    """Identity of a run; None for one that was begun by an earlier version."""
    try:
        return str(from_json((directory / FILE).read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_same(directory: Path, verb: str, checkpoint: Path, content: Mapping[str, Any]) -> None:
    """Make sure that a checkpoint is one of the run in whose directory it lies.

    Args:
        directory: The run's that is to go on.
        verb: Command of the run, such as "finetune classify"; "" if it is not known.
        checkpoint: File that lies there.
        content: What was read from that file.

    Raises:
        InputError: It is that of another run, or of another task.
    """
    here, there = read(directory), content.get(KEY)
    task = content.get("task")
    other_task = verb and task is not None and task != verb.split()[-1]
    if other_task or (here and there and here != there):
        raise InputError(
            f"{checkpoint.name} belongs to another run{f', of the task {task}' if other_task else ''}",
            where=checkpoint,
            expected=f"the checkpoint that the run in {directory} wrote",
            fix=f"put it back; or delete this file, and the run resumes from the checkpoint before it: rm {checkpoint}",
        )
