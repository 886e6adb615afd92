"""Timing in turns, so that a slow moment of a shared machine touches all arms alike."""

import time
from collections.abc import Callable, Mapping

import torch


def take_turns(arms: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu") -> dict[str, list[float]]:
    """Seconds of every arm, round by round; one more round comes first, to warm up, and is not counted.

    On a CPU and with one thread it is processor time, to which other work on the machine does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in arms}
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    wait: Callable[[], object] = torch.cuda.synchronize if device == "cuda" else lambda: None
    for number in range(rounds + 1):
        for name, run in arms.items():
            wait()
            start = clock()
            run()
            wait()
            if number > 0:
                times[name].append(clock() - start)
    return times
