import dataclasses

import pytest
import torch

from fastitpn.benchmarking import matmul_peak, measure
from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.measure import Budget, measure_case
from fastitpn.benchmarking.memory import MemoryMeter
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.models.backbone import FastITPN

OURS = [Candidate(model="fastitpn_nano", acceleration=PRESETS[name]) for name in ("off", "fast")]
PEER = Candidate(model="test_vit")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(matmul_peak, "CPU_SIZES", ((64, 64, 64),))


class NoMeter(MemoryMeter):
    """Says what it is told to, without a process."""

    def __init__(self, answers=None):
        self.answers = answers or {}

    def measure(self, candidate, px, batch):
        return self.answers.get(candidate.acceleration_name, (1.0, None))


def measured(*candidates, px=64, batch=2, rounds=3, meter=None, **conditions):
    return measure_case(
        list(candidates), px, batch, Conditions(**conditions), Budget(rounds=rounds), meter or NoMeter()
    )


def test_all_figures_of_all_rows():
    with MemoryMeter(Conditions()) as meter:
        case = measured(*OURS, PEER, px=96, meter=meter)
    assert (case.px, case.batch, case.rounds) == (96, 2, 3)
    assert [(row.model, row.acceleration) for row in case.rows] == [
        ("fastitpn_nano", "off"),
        ("fastitpn_nano", "fast"),
        ("test_vit", None),
    ]
    for row in case.rows:
        assert row.problem is None
        assert 0 < row.p50_ms <= row.p90_ms
        assert row.images_per_s == pytest.approx(2e3 / row.p50_ms)
        assert row.ratio_spread[0] <= row.ratio <= row.ratio_spread[1]
        assert row.peak_share >= row.gflops * row.images_per_s / case.peak_gflops  # the fastest pass, not the median
    assert case.rows[0].ratio == 1
    assert case.rows[1].gflops < case.rows[0].gflops


def test_a_ratio_is_above_one_for_what_is_faster(monkeypatch):
    """Of clocks that agree with the operations."""
    seconds = {True: 0.4, False: 0.1}
    forward = Conditions.forward

    def timed(self, model, images):
        run = forward(self, model, images)
        return lambda: (run(), seconds[model.acceleration.off])[1]

    monkeypatch.setattr(Conditions, "forward", timed)
    monkeypatch.setattr(measure, "stopwatch_for", lambda device: lambda run: run() if callable(run) else 1.0)
    monkeypatch.setattr(matmul_peak.MatmulPeak, "sample", lambda self: setattr(self, "gflops", 1.0))
    plain, fast = measured(*OURS).rows
    assert (plain.p50_ms, fast.p50_ms) == pytest.approx((400, 100))
    assert (plain.ratio, fast.ratio) == (1, pytest.approx(4))
    assert fast.ratio_spread == pytest.approx((4, 4))


def test_ours_share_their_weights(monkeypatch):
    seen: list[FastITPN] = []
    forward = Conditions.forward
    monkeypatch.setattr(Conditions, "forward", lambda self, net, images: seen.append(net) or forward(self, net, images))
    monkeypatch.setattr(measure, "count_gflops", lambda *given: 1.0)
    other = dataclasses.replace(OURS[0], arguments={"num_classes": 5}, alias="other")
    measured(*OURS, other)
    assert [net.acceleration.name for net in seen] == ["off", "fast", "off"]
    assert seen[0].head.weight is seen[1].head.weight
    assert seen[0].stages is not seen[1].stages
    assert seen[2].num_classes == 5


def test_what_does_not_run_says_so_and_the_others_run():
    patches_of_14 = Candidate(model="eva02_tiny_patch14_224")
    fixed = Candidate(model="hiera_tiny_224")
    case = measured(*OURS, patches_of_14, fixed, px=80, rounds=1)
    assert [row.ratio is None for row in case.rows] == [False, False, True, True]
    assert case.rows[2].problem == "80 px is no multiple of its patches of 14 px"
    assert case.rows[3].problem
    assert "\n" not in case.rows[3].problem


def test_out_of_memory_is_a_row():
    meter = NoMeter({"fast": (None, "out of memory")})
    plain, fast = measured(*OURS, rounds=1, meter=meter).rows
    assert (plain.problem, fast.problem, fast.p50_ms) == (None, "out of memory", None)
    assert fast.gflops is not None
    plain, fast = measured(*OURS, rounds=1, meter=NoMeter({"off": (None, "out of memory")})).rows
    assert (fast.ratio, fast.problem) == (None, None)
    assert fast.p50_ms > 0


@pytest.mark.parametrize("calls", [0, 4])
def test_out_of_memory_in_this_process(monkeypatch, calls):
    """While warming up, or beside the others in the rounds."""
    forward = Conditions.forward

    def limited(self, model, images):
        run, done = forward(self, model, images), []

        def once():
            done.append(1)
            if not model.acceleration.off and len(done) > calls:
                raise torch.OutOfMemoryError
            return run()

        return once

    monkeypatch.setattr(Conditions, "forward", limited)
    monkeypatch.setattr(measure, "count_gflops", lambda *given: 1.0)
    plain, fast = measured(*OURS, rounds=6).rows  # more than `calls`, however slow the machine is
    assert fast.problem == ("out of memory beside the others" if calls else "out of memory")
    assert plain.ratio == 1


def test_an_error_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr(FastITPN, "forward", lambda self, x: x @ x.new_zeros(1, 7))
    with pytest.raises(RuntimeError):
        measured(OURS[0])


def test_nothing_that_runs():
    case = measured(Candidate(model="eva02_tiny_patch14_224"))
    assert (case.rounds, case.rows[0].p50_ms) == (0, None)
