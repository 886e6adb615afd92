"""Processes that are killed: at random moments of a training, and before every step of every way of writing."""

import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks, emptied, in_copy
from benchmarks.trust.writers import WRITERS, changes_disk, contents, torn


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


def in_two_processes(out: Path, **options: object) -> Any:
    """A process that begins the same run in two, over gloo."""
    import forking
    from training_example import program

    arguments = program(out, devices=2, delay_s=0.01, **options)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return forking.Popen(**arguments, **pipes, start_new_session=True)


def prepare(folder: Path) -> None:
    """Trains once without a stop, by one process and by two; how long that takes is kept."""
    import forking

    forking.address()  # so that the copies of this process share what it starts
    for name in ("unbroken", "unbroken2"):
        if not (folder / name / "result.json").exists():
            emptied(folder / name)
            started = time.monotonic()
            if name == "unbroken":
                in_copy(lambda: train_small(folder / "unbroken") and None)
            else:
                in_two_processes(folder / name).communicate(timeout=300)
            (folder / f"{name}.seconds").write_text(str(time.monotonic() - started))


def at_random(number: int, seed: int, folder: Path) -> str | None:
    """A run that is killed once or several times, and begun again.

    Of ten attacks seven kill the whole run, one a process that loads data, and two one or both of two processes.
    """
    rng, out = rng_of(seed, number), folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    if number % 10 >= 8:
        return _two_killed(rng, out, folder)
    whole = float((folder / "unbroken.seconds").read_text())
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        loader, after = number % 10 == 7, rng.random() * whole
        workers = number % 3 or int(loader)
        ended = in_copy(functools.partial(_killed, out, after, workers=workers, loader=loader))
        if loader and ended.code != 0 and "a process that loads data died" not in ended.said:
            return f"without a process that loads data: {ended.code}: {ended.said[-300:]}"
    if (ended := in_copy(lambda: train_small(out) and None)).code != 0:
        return f"it did not go on: {ended.said[-300:]}"
    return same_run(out, folder / "unbroken")


def _killed(out: Path, after: float, *, workers: int, loader: bool) -> None:
    def kill(*_: object) -> None:
        if not loader:
            os.killpg(0, signal.SIGKILL)
        children = Path("/proc/self/task") / str(os.getpid()) / "children"
        if pids := children.read_text().split():
            os.kill(int(pids[0]), signal.SIGKILL)
        else:  # not yet, or not any more
            signal.setitimer(signal.ITIMER_REAL, 0.01)

    signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, max(after, 0.01))
    train_small(out, workers=workers)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _two_killed(rng: random.Random, out: Path, folder: Path) -> str | None:
    process = in_two_processes(out)
    deadline = time.monotonic() + rng.random() * float((folder / "unbroken2.seconds").read_text())
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    one_of_them = rng.random() < 0.5
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL) if one_of_them else os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=200)  # the other one ends by itself, and lets go of its lock
    for _ in range(100):
        again = in_two_processes(out)
        said = again.communicate(timeout=300)[1]
        if again.returncode == 0:
            return same_run(out, folder / "unbroken2")
        if "a run writes into this folder already" not in said:
            break
        time.sleep(0.5)
    return f"in two processes, {'one' if one_of_them else 'both'} killed: it did not go on: {said[-300:]}"


def in_a_window(number: int, seed: int, folder: Path) -> str | None:
    """A writer that is killed before its n-th change of the disk, with an older file in the place."""
    write, step = WRITERS[number % len(WRITERS)], number // len(WRITERS)
    place = emptied(folder / "place")
    write(place, 1)
    old = contents(place)

    def killed() -> None:
        left = step

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if changes_disk(event, arguments):
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(count)
        write(place, 2)

    in_copy(killed)
    between = contents(place)
    write(place, 2)  # the same command again
    problem = torn(between, old, contents(place))
    return f"{write.__name__}, step {step}: {problem}" if problem else None


ATTACKS = (
    Attacks(name="kills at random moments", count=100, attack=at_random, prepare=prepare),
    Attacks(name="kills within a write", count=len(WRITERS) * 8, attack=in_a_window),
)
