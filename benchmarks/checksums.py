"""What the checksums of a checkpoint cost: its writing and its reading, with and without.

    python -m benchmarks.checksums [key=value ...]

The checkpoint has `copies` of a model's weights: with moving average and both moments of AdamW a training has four.
Rounds with and without checksums take turns on the same disk; a row has the medians, of the processor and of the clock.
A file is read from the disk, as a run that goes on does, and again from memory, where the system keeps it.
"""

import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results
from fastitpn.config.types import Count
from fastitpn.models.registry import create_model
from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Checksums."""

    model: str = "fastitpn_large"
    """Model of the checkpoint."""
    copies: Count = 4
    """Times that its weights are in the checkpoint."""
    rounds: Count = 3
    """Times that each is measured."""
    folder: Path | None = None
    """Folder for the checkpoint, with room for twice its size; none is the system's for temporary files."""


def content_of(model: str, copies: int) -> dict[str, Any]:
    """What a training keeps."""
    weights = create_model(model).state_dict()
    return {str(copy): {name: value.clone() for name, value in weights.items()} for copy in range(copies)}


def forget(path: Path) -> None:
    """The system does not keep the file in memory any more."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - clock, time.process_time() - processor


def without_sums_written(call: Callable[[], Any]) -> None:
    """Writes, with no checksum computed."""
    with patch("fastitpn.runs.checkpoint.add_checksums", lambda file: None):
        call()


def without_sums_read(call: Callable[[], Any]) -> None:
    """Reads, with no checksum compared."""
    with patch("fastitpn.runs.checkpoint.damage_of_members", lambda *given, **keys: None):
        call()


def run(options: Options) -> None:
    """Measures, prints and stores the rows."""
    torch.set_num_threads(1)
    results = Results(options)
    content = content_of(options.model, options.copies)
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        path = Path(place) / "last.ckpt"
        ways: dict[str, tuple[Callable[[], Any], Callable[[Callable[[], Any]], None], bool]] = {
            "writing": (lambda: save_checkpoint(path, content), without_sums_written, False),
            "reading from the disk": (lambda: load_checkpoint(path), without_sums_read, True),
            "reading from memory": (lambda: load_checkpoint(path), without_sums_read, False),
        }
        for name, (call, without, cold) in ways.items():
            save_checkpoint(path, content)  # with checksums
            pairs = []
            for _ in range(options.rounds):
                pair = []
                for arm in (call, functools.partial(without, call)):
                    if cold:
                        forget(path)
                    pair.append(timed(arm))
                pairs.append(pair)
            row: dict[str, Any] = {"way": name, "file_mib": round(path.stat().st_size / 2**20)}
            for kind, place_in in (("seconds", 0), ("processor_seconds", 1)):
                with_sums, plain = (statistics.median(pair[arm][place_in] for pair in pairs) for arm in (0, 1))
                row |= {kind: round(with_sums, 2), f"{kind}_without": round(plain, 2)}
                row[f"{kind}_more"] = f"{100 * (with_sums / plain - 1):.1f} %"
            results.add(row)
    results.finish()


if __name__ == "__main__":
    start(Options, run)
