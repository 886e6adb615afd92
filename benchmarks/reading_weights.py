"""How long a large file of weights takes to read, and how much memory, beside PyTorch's own reading.

    python -m benchmarks.reading_weights [key=value ...]

The files have a model in fp32 and the two moments of AdamW, under published names. `objects` also has an object of a
class, which our reader passes over, and which PyTorch reads with `weights_only=False` alone. Our reading takes the
model, with every checksum of the file and every number checked; PyTorch's takes all, and checks no number. Memory is
the peak in a process for each, beside the bytes of the tensors that are taken.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.memory import peak_mib
from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row
from fastitpn.models.registry import create_model
from fastitpn.models.weights.file import read_weights
from fastitpn.models.weights.official_names import to_official_names

KINDS = ("plain", "objects")


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Reading."""

    model: str = "fastitpn_large"
    """Model whose weights and moments are in the files."""
    folder: Path | None = None
    """Folder for the files, with room for three times the weights; none is the system's for temporary files."""


def write_file(path: Path, model: str, kind: str) -> None:
    """A checkpoint of a training."""
    state = to_official_names(create_model(model).state_dict())
    moments: dict[int, Any] = {
        place: {"step": torch.tensor(1.0), "exp_avg": tensor * 0.1, "exp_avg_sq": tensor * 0.01}
        for place, tensor in enumerate(state.values())
    }
    content = {"model": state, "optimizer": {"state": moments, "param_groups": [{"lr": 1e-4}]}, "epoch": 3}
    torch.save(content | ({"args": Fraction(1, 3)} if kind == "objects" else {}), path)


def read_ours(path: Path) -> int:
    """Bytes of the tensors that are taken."""
    return sum(tensor.nbytes for tensor in read_weights(path).tensors.values())


def read_with_torch(path: Path) -> int:
    """Bytes of the model's tensors; all others are in memory, too."""
    content = torch.load(path, map_location="cpu", weights_only="objects" not in path.name)
    return sum(tensor.nbytes for tensor in content["model"].values())


def measure(read: Callable[[Path], int], path: Path) -> dict[str, float]:
    """Seconds, of the clock and of the processor, and MiB of a reading."""
    clock, processor = time.perf_counter(), time.process_time()
    taken = read(path)
    seconds = {"seconds": time.perf_counter() - clock, "processor_seconds": time.process_time() - processor}
    return seconds | {"mib": peak_mib(read, path, device="cpu"), "taken_mib": taken / 2**20}


def run(options: Options) -> None:
    """Measures both readers on each file, prints and stores the rows."""
    torch.set_num_threads(1)
    results = Results(options)
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        for kind in KINDS:
            path = Path(place) / f"{kind}.pt"
            write_file(path, options.model, kind)
            torchs, ours = (measure(read, path) for read in (read_with_torch, read_ours))
            row: Row = {"file": kind, "file_mib": round(path.stat().st_size / 2**20)}
            for name, measured in (("ours", ours), ("torch", torchs)):
                row |= {f"{name}_{key}": round(measured[key], 1) for key in ("seconds", "processor_seconds", "mib")}
            row["taken_mib"] = round(ours["taken_mib"])
            row["memory_ratio"] = round(ours["mib"] / ours["taken_mib"], 2)
            results.add(row)
            path.unlink()
    results.finish()


if __name__ == "__main__":
    start(Options, run)
