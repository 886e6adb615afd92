import itertools

import pytest
import torch

from fastitpn.benchmarking.timing import (
    FEWEST_ROUNDS,
    MOST_CALLS,
    MOST_ROUNDS,
    PAUSES,
    TURN_S,
    Contestant,
    num_rounds,
    stopwatch_for,
    take_turns,
)


def timed(run) -> float:
    """A stopwatch for passes that say how long they took."""
    return run()


def named(log: list[str], name: str, **keys) -> Contestant:
    return Contestant(run=lambda: log.append(name) or 1.0, **keys)


def test_every_round_has_one_turn_of_each_in_changing_order():
    log: list[str] = []
    contestants = [named(log, name) for name in "abc"]
    take_turns(contestants, timed, 30, between=lambda: None, after_turn=lambda: None)
    rounds = [tuple(log[i : i + 3]) for i in range(0, 90, 3)]
    assert {tuple(sorted(one)) for one in rounds} == {("a", "b", "c")}
    assert set(rounds) == set(itertools.permutations("abc"))
    assert [len(contestant.turns) for contestant in contestants] == [30, 30, 30]


def test_a_turn_is_as_many_calls_as_was_found():
    log: list[str] = []
    contestants = [named(log, "a", calls=3), named(log, "b")]
    take_turns(contestants, timed, 2, between=lambda: None, after_turn=lambda: None)
    assert "".join(log).count("aaa") == 2
    assert contestants[0].turns == [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize("rounds", [3, PAUSES, 1000])
def test_pauses_are_spread_over_the_rounds(rounds):
    done: list[str] = []
    take_turns([named([], "a")], timed, rounds, between=lambda: done.append("-"), after_turn=lambda: done.append("a"))
    assert done.count("a") == rounds
    assert done.count("-") == min(rounds, PAUSES)
    assert done[0] == "-"


def test_warming_up_finds_the_length_of_a_turn():
    seconds = iter([9.0, TURN_S / 5, TURN_S / 5, TURN_S / 2])
    contestant = Contestant(run=lambda: next(seconds))
    contestant.warm_up(timed)
    assert contestant.seconds == TURN_S / 5
    assert contestant.calls == 5
    assert contestant.turns == []
    for slow, calls in ((7.0, 1), (1e-9, MOST_CALLS)):
        contestant = Contestant(run=lambda slow=slow: slow)
        contestant.warm_up(timed)
        assert contestant.calls == calls


def test_number_of_rounds():
    contestants = [Contestant(run=int, calls=2, seconds=0.5), Contestant(run=int, calls=1, seconds=3.0)]
    assert num_rounds(contestants, 20.0, None) == 10  # 40 s for both, 4 s a round
    assert num_rounds(contestants, 0.1, None) == FEWEST_ROUNDS
    assert num_rounds(contestants, 1e9, None) == MOST_ROUNDS
    assert num_rounds(contestants, 20.0, 2) == 2


def test_one_without_memory_drops_out_and_the_others_go_on():
    def fail() -> float:
        raise torch.OutOfMemoryError

    log: list[str] = []
    failing, other = Contestant(run=fail), named(log, "a")
    take_turns([failing, other], timed, 5, between=lambda: None, after_turn=lambda: None)
    assert (failing.out_of_memory, failing.turns) == (True, [])
    assert len(other.turns) == 5


def test_another_error_is_not_hidden():
    def fail() -> float:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        Contestant(run=fail).take_turn(timed)


def test_the_clock_of_the_machine():
    seconds = stopwatch_for("cpu")(lambda: sum(range(200_000)))
    assert 1e-4 < seconds < 5


def test_events_on_cuda(monkeypatch):
    log = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            log.append("record")

        def synchronize(self):
            log.append("wait")

        def elapsed_time(self, end):
            return 250.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("wait for all"))
    assert stopwatch_for("cuda:0")(lambda: log.append("run")) == 0.25
    assert log == ["wait for all", "record", "run", "record", "wait"]
