"""Summaries of rows made by hand, against what a person computes."""

import pytest
import torch

from benchmarks.harness import rounds
from benchmarks.harness.memory import peak_mib
from benchmarks.harness.summary import (
    each_over_seeds,
    mean_and_spread,
    median_ms,
    over_seeds,
    paired_differences,
    pairs_of_arms,
    speed_up,
)

ROWS = [
    {"arm": "plain", "seed": 0, "miou": 10.0},
    {"arm": "plain", "seed": 1, "miou": 20.0},
    {"arm": "fast", "seed": 1, "miou": 17.0},
    {"arm": "fast", "seed": 2, "miou": 30.0},
]


def test_mean_and_range() -> None:
    assert mean_and_spread(value for value in (1.0, 2.0, 6.0)) == {"mean": 3.0, "spread": [1.0, 6.0]}
    assert over_seeds([0.123, 0.456]) == {"mean": 0.29, "spread": [0.12, 0.46], "seeds": 2}
    assert each_over_seeds([{"a": 1.0, "b": 5.0}, {"a": 3.0, "b": 5.0}]) == {
        "a": {"mean": 2.0, "spread": [1.0, 3.0], "seeds": 2},
        "b": {"mean": 5.0, "spread": [5.0, 5.0], "seeds": 2},
    }


def test_differences_are_of_the_same_seed() -> None:
    pairs = pairs_of_arms(ROWS, {"fast over plain": ("fast", "plain"), "other over plain": ("other", "plain")})
    assert pairs == {"fast over plain": {1: (ROWS[2], ROWS[1])}}
    assert paired_differences({0: 10.0, 1: 20.0}, {1: 17.0, 2: 30.0}) == {1: 3.0}


def test_a_ratio_is_of_the_same_round() -> None:
    # ratios of the rounds: 2, 4, 1; the ratio of the medians would be 2 / 1.5
    assert speed_up([2.0, 8.0, 1.5], [1.0, 2.0, 1.5]) == (2.0, [1.0, 4.0])
    assert speed_up([1.0], [3.0], 2) == (0.33, [0.33, 0.33])
    assert median_ms([0.1, 0.0301, 0.02]) == 30.1


def test_arms_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [0.0], []
    for clock in ("process_time", "perf_counter"):
        monkeypatch.setattr(rounds.time, clock, lambda: now[0])

    def work(name: str, seconds: float) -> None:
        calls.append(name)
        now[0] += seconds

    times = rounds.take_turns({"a": lambda: work("a", len(calls)), "b": lambda: work("b", 0.5)}, 2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert times == {"a": [2.0, 4.0], "b": [0.5, 0.5]}  # not the first round


@pytest.mark.slow
def test_peak_memory_is_of_a_process_of_its_own() -> None:
    peaks = [peak_mib(torch.zeros, count, device="cpu") for count in (2**26, 2**24)]
    assert peaks[0] == pytest.approx(256, abs=40)
    assert peaks[1] == pytest.approx(64, abs=40)
