"""Timing in turns, so that a slow moment of a shared machine touches all arms alike."""

import time
from collections.abc import Callable, Mapping

import torch


def take_turns(arms: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu") -> dict[str, list[float]]:
    """Seconds of every arm, round by round.

    On a CPU it is processor time, to which other work on the machine does not count: one thread is expected.

    Args:
        arms: What to run, by name.
        rounds: How many; one more comes first, to warm up, and is not counted.
        device: Where they compute.
    """
    times: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name, run in arms.items():
            seconds = _seconds(run, device)
            if number > 0:
                times[name].append(seconds)
    return times


def _seconds(run: Callable[[], object], device: str) -> float:
    if not device.startswith("cuda"):
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start
