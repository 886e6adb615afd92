"""Checkpoints: written atomically, checked before they are trusted, and loadable without running any code."""

import logging
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.listing import matching
from fastitpn.models.weights.checksums import damage_of_members, damage_of_table
from fastitpn.runs.written_checksums import add_checksums, without_checksums

FORMAT = "fastitpn-1"
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
_THREADS = 4
"""That compute checksums while a file is read."""

logger = logging.getLogger(__name__)


def save_checkpoint(path: Path, content: Mapping[str, Any], *, previous: Path | None = None) -> None:
    """Writes a checkpoint; at no moment is there half a file under its name.

    Args:
        path: In a folder that exists.
        content: Nested dicts, lists, numbers, text and tensors, which may be on any device.
        previous: Where to keep the checkpoint that was at `path` before.

    Raises:
        InputError: The disk is full or not writable. Earlier checkpoints are untouched.
        TypeError: `content` holds something that could not be loaded again safely, with its key path.
    """
    portable = to_cpu({"format": FORMAT, **content})
    with replacing(path, previous=previous) as file:
        with without_checksums():
            torch.save(portable, file)
        add_checksums(file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint to the CPU, after its checksums were verified.

    Raises:
        InputError: There is no such file, it is damaged or incomplete, or it is not a checkpoint of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("there is no such checkpoint", where=path, fix=_instead_of(path))
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(archive.infolist(), key=lambda member: not member.filename.endswith(".pkl"))
        damage = damage_of_table(path, members) or damage_of_members(path, members[:1], all_written=True)
    except Exception as error:  # zipfile raises about anything for a damaged table
        raise _damaged(path, str(error)) from error
    if damage is not None:
        raise _damaged(path, damage)
    # Meanwhile, for it takes as long: numbers may be wrong while they are read, nothing is made of them yet.
    with ThreadPoolExecutor(_THREADS) as pool:
        parts = [members[1 + place :: _THREADS] for place in range(_THREADS)]
        sums = [pool.submit(damage_of_members, path, part, all_written=True) for part in parts]
        content = _loaded(path)
        damage = next(filter(None, (part.result() for part in sums)), None)
    if damage is not None:
        raise _damaged(path, damage)
    if isinstance(content, Exception):
        raise _damaged(path, (str(content).splitlines() or ["it ends too early"])[0]) from content
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(
            "this is not a checkpoint of a fastitpn run", where=path, expected=f"a file whose 'format' is {FORMAT!r}"
        )
    return content


def _loaded(path: Path) -> Any:
    """The content, or why there is none."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises about anything for a file that is not one of its own
        return error


def latest_valid(directory: Path) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint to resume from: the last one, or with a warning the one before if that is damaged.

    Args:
        directory: Folder of the checkpoints.

    Returns:
        Path and content; None if none was written yet.

    Raises:
        InputError: There are checkpoints, but all are damaged.
    """
    kept = kept_checkpoints(directory)
    for place, path in enumerate(kept):
        try:
            return path, load_checkpoint(path)
        except InputError as error:
            if path == kept[-1]:
                raise
            logger.warning("%s; going back to %s", error.what, kept[place + 1])
    return None


def kept_checkpoints(directory: Path) -> list[Path]:
    """The checkpoints of a run that can be resumed from, the newest first."""
    older = sorted(matching(directory, "previous-*.ckpt"), key=lambda path: int(path.stem.partition("-")[2] or 0))
    return [path for path in (directory / LAST, directory / PREVIOUS, *older) if path.exists()]


def make_room(directory: Path, keep: int) -> None:
    """Renames `previous.ckpt` to `previous-2.ckpt` and so on, before another one takes its place.

    Args:
        directory: Folder of the checkpoints.
        keep: Checkpoints to keep in all, the last one counted, at least 2; older ones are deleted.
    """
    for path in kept_checkpoints(directory)[max(2, keep) - 1 :]:
        if path.name not in (LAST, PREVIOUS):
            path.unlink()
    for number in range(keep - 2, 0, -1):
        path = directory / (PREVIOUS if number == 1 else f"previous-{number}.ckpt")
        if path.exists():
            path.replace(directory / f"previous-{number + 1}.ckpt")


def to_cpu(content: Any, where: str = "checkpoint") -> Any:
    """Copies of all tensors on the CPU, one for each tensor even if it occurs again.

    Raises:
        TypeError: Something is neither a tensor nor of a plain type (a numpy number, a path, an enumeration).
    """
    return _to_cpu(content, where, {})


def _to_cpu(content: Any, where: str, seen: dict[int, Tensor]) -> Any:
    if isinstance(content, Tensor):
        return seen.setdefault(id(content), content.detach().cpu())
    if isinstance(content, Mapping):
        return {key: _to_cpu(value, f"{where}[{key!r}]", seen) for key, value in content.items()}
    if type(content) in (list, tuple):
        return type(content)(_to_cpu(value, f"{where}[{place}]", seen) for place, value in enumerate(content))
    if content is None or type(content) in (bool, int, float, str):
        return content
    raise TypeError(f"{where} is a {type(content).__name__}, which cannot be loaded safely: give it as a plain type")


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path.name} is damaged or incomplete: {reason}", where=path, expected="a checkpoint", fix=_instead_of(path)
    )


def _instead_of(path: Path) -> str | None:
    others = [path.with_name(name) for name in (LAST, PREVIOUS, BEST)]
    usable = [str(other) for other in others if other.is_file() and other.name != path.name]
    return f"use {' or '.join(usable)}" if usable else None
