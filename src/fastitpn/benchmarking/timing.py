"""Timing models in turn, round after round, so that a slow moment of a shared machine touches all of them alike."""

import dataclasses
import random
import statistics
import time
from collections.abc import Callable, Sequence

import torch

from fastitpn.benchmarking.conditions import Forward, is_out_of_memory

Stopwatch = Callable[[Callable[[], object]], float]
"""Runs something and returns its seconds, until the device is done."""

TURN_S = 0.03
"""A model has so long, or one call, before it is the next one's turn: short against the moods of a shared machine."""
MOST_CALLS = 30
FEWEST_ROUNDS, MOST_ROUNDS = 5, 1000
PAUSES = 20
"""At most so many times something else is done between rounds."""
WARM_UP_S, WARM_UP_CALLS = 0.2, 3


def stopwatch_for(device: str) -> Stopwatch:
    """A stopwatch: events on CUDA, the clock of the machine elsewhere."""
    return {"cuda": _on_cuda, "mps": _on_mps}.get(torch.device(device).type, _on_cpu)


@dataclasses.dataclass(kw_only=True)
class Contestant:
    """A model that is ready to run, and its times."""

    run: Forward
    calls: int = 1
    """In one turn."""
    seconds: float = 0.0
    """Seconds of a call, as seen while warming up."""
    turns: list[list[float]] = dataclasses.field(default_factory=list)
    """Seconds of each call, turn by turn."""
    out_of_memory: bool = False
    """It was beside the others that memory did not suffice; its turns are void."""

    def warm_up(self, stopwatch: Stopwatch) -> None:
        """Run until compilation, caches and clocks have settled, and find how many calls make a turn."""
        stopwatch(self.run)
        began, times = time.perf_counter(), [stopwatch(self.run)]
        while len(times) < WARM_UP_CALLS and time.perf_counter() - began < WARM_UP_S:
            times.append(stopwatch(self.run))
        self.seconds = statistics.median(times)
        self.calls = max(1, min(MOST_CALLS, round(TURN_S / self.seconds)))

    def take_turn(self, stopwatch: Stopwatch) -> None:
        """Run and note the times."""
        if self.out_of_memory:
            return
        try:
            self.turns.append([stopwatch(self.run) for _ in range(self.calls)])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.out_of_memory = True


def num_rounds(contestants: Sequence[Contestant], seconds: float, rounds: int | None) -> int:
    """Rounds: as many as asked for, else what fits into `seconds` for each contestant."""
    if rounds is not None:
        return rounds
    one_round = sum(contestant.calls * contestant.seconds for contestant in contestants)
    return max(FEWEST_ROUNDS, min(MOST_ROUNDS, round(seconds * len(contestants) / one_round)))


def take_turns(
    contestants: Sequence[Contestant],
    stopwatch: Stopwatch,
    rounds: int,
    *,
    between: Callable[[], object],
    after_turn: Callable[[], object],
) -> None:
    """Let all of them run in every round, in an order that is drawn anew for each.

    Args:
        contestants: Warmed up; their `turns` are filled.
        stopwatch: Times a call on the device, in seconds.
        rounds: Number of rounds.
        between: Is called before rounds, `PAUSES` of them at most.
        after_turn: Is called after each turn.
    """
    order, shuffle = list(contestants), random.Random(0).shuffle
    every = -(-rounds // PAUSES)
    for number in range(rounds):
        if number % every == 0:
            between()
        shuffle(order)
        for contestant in order:
            contestant.take_turn(stopwatch)
            after_turn()


def _on_cpu(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _on_cuda(run: Callable[[], object]) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3  # from ms


def _on_mps(run: Callable[[], object]) -> float:
    torch.mps.synchronize()
    start = time.perf_counter()
    run()
    torch.mps.synchronize()
    return time.perf_counter() - start
