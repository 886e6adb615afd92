"""Processes that are killed: at random moments of a training, and before every step of every way of writing."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks, emptied, in_copy

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree", "shutil.copyfile")
"""Audit events of what changes a disk."""


def train_small(out: Path, workers: int = 0) -> Any:
    """The run of the tests with dropout, running statistics, a teacher and a moving average."""
    from training_example import RandomImages, train

    return train(out, data=RandomImages(delay_s=0.01), workers=workers)


def same_run(run: Path, unbroken: Path) -> str | None:
    """How a run that is complete differs from one that was not stopped; None if it does not."""
    from tiny_runs import content, figures, leaves

    from fastitpn.runs.run import Run

    ours, theirs = Run(run), Run(unbroken)
    if not ours.complete:
        return "it is not complete"
    if figures(ours) != figures(theirs) or ours.metrics != theirs.metrics:
        return "it has other figures"
    left_out = ("config", "run")
    pairs = [{**content(one), **dict.fromkeys(left_out)} for one in (ours, theirs)]
    first, second = (dict(leaves(pair)) for pair in pairs)
    different = [name for name in first if name not in second or not _equal(first[name], second[name])]
    return f"other values of {different[:3]}" if different or first.keys() != second.keys() else None


def _equal(first: Any, second: Any) -> bool:
    import torch

    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


def prepare(folder: Path) -> None:
    """Trains once without a stop; how long that takes is kept."""
    started = time.monotonic()
    if not (folder / "unbroken" / "result.json").exists():
        emptied(folder / "unbroken")
        in_copy(lambda: train_small(folder / "unbroken") and None)
        (folder / "seconds").write_text(str(time.monotonic() - started))


def at_random(number: int, seed: int, folder: Path) -> str | None:
    """A run that is killed once, or several times, and begun again."""
    rng, out = rng_of(seed, number), folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    whole = float((folder / "seconds").read_text())
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        after = rng.random() * whole

        def killed(after: float = after) -> None:
            signal.signal(signal.SIGALRM, lambda *_: os.killpg(0, signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, max(after, 0.01))
            train_small(out, workers=number % 3)

        in_copy(killed)
    if (ended := in_copy(lambda: train_small(out) and None)).code != 0:
        return f"it did not go on: {ended.said[-300:]}"
    return same_run(out, folder / "unbroken")


def _write_checkpoint(folder: Path, value: int) -> None:
    import torch

    from fastitpn.runs.checkpoint import save_checkpoint

    save_checkpoint(folder / "last.ckpt", {"weights": torch.full((999,), value)}, previous=folder / "previous.ckpt")


def _write_shards(folder: Path, value: int) -> None:
    import torch

    from fastitpn.data.feature_shards import write_shard

    write_shard(folder, 0, torch.full((4, 4, 8), float(value)))


def _write_text(folder: Path, value: int) -> None:
    from fastitpn.files import write_text

    write_text(folder / "report.html", str(value) * 9999)


def _write_line(folder: Path, value: int) -> None:
    from fastitpn.runs.metrics_log import append_row

    append_row(folder / "metrics.jsonl", {"step": value, "split": "train", "loss": 0.5})


def _write_export(folder: Path, value: int) -> None:
    from fastitpn.exporting.folder import DESCRIPTION, export_folder

    with export_folder(folder / "export") as new:
        (new / DESCRIPTION).write_text(str(value))
        (new / "model.onnx").write_text(str(value) * 9999)


def _write_copy(folder: Path, value: int) -> None:
    from fastitpn.files import copy_file

    (folder / "source").write_text(str(value) * 9999)
    copy_file(folder / "source", folder / "copy")


WRITERS: tuple[Callable[[Path, int], None], ...] = (
    _write_checkpoint,
    _write_shards,
    _write_text,
    _write_line,
    _write_export,
    _write_copy,
)


def in_a_window(number: int, seed: int, folder: Path) -> str | None:
    """A writer that is killed before its n-th change of the disk, with an older file in the place."""
    write, step = WRITERS[number % len(WRITERS)], number // len(WRITERS)
    place = emptied(folder / "place")
    write(place, 1)
    old = _contents(place)

    def killed() -> None:
        left = step

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event not in EVENTS or (
                event == "open" and "w" not in str(arguments[1]) and "a" not in str(arguments[1])
            ):
                return
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

        sys.addaudithook(count)
        write(place, 2)

    in_copy(killed)
    between = _contents(place)
    write(place, 2)  # the same command again
    new = _contents(place)
    for name, content in between.items():
        rows = name == "metrics.jsonl" and content.endswith(b"\n") and new[name].startswith(content)
        if not rows and content not in (old.get(name), new.get(name), old.get("last.ckpt")):
            return f"{write.__name__}, step {step}: {name} is neither the old nor the new one"
    absent = [name for name in old if name not in between and name != "last.ckpt"]  # which is previous.ckpt then
    if absent:
        return f"{write.__name__}, step {step}: {absent} are gone"
    return None


def _contents(folder: Path) -> dict[str, bytes]:
    """What a user sees in a folder: no hidden files; sums are written after what they are of."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = {str(path.relative_to(folder)): path for path in files}
    return {
        name: path.read_bytes()
        for name, path in names.items()
        if not any(part.startswith(".") for part in Path(name).parts) and name not in ("sums.json", "source")
    }


ATTACKS = (
    Attacks(name="kills at random moments", count=100, attack=at_random, prepare=prepare),
    Attacks(name="kills within a write", count=len(WRITERS) * 8, attack=in_a_window),
)
