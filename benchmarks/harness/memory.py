"""Peak memory, measured in a process for each arm, since the peak of a process never falls."""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch


def peak_mib(run: Callable[..., object], *arguments: Any, device: str) -> float:
    """Peak in MiB of a function of a module, with all that it builds.

    On a GPU it is what torch allocated at most, on a CPU the peak resident set less what was there before (Linux).
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_peak_of_this_process, run, arguments, device).result()


def _peak_of_this_process(run: Callable[..., object], arguments: tuple[Any, ...], device: str) -> float:
    if device == "cpu":
        torch.set_num_threads(1)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    run(*arguments)
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    # Not getrusage: its peak starts from that of the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 2**10 - before
