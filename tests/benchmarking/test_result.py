import dataclasses
import json

import pytest

from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.result import Benchmark, Case, Row, finish_row
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.tasks.classify.metrics import METRICS, TOP1
from fastitpn.tasks.detect.metrics import metrics_of

FAST = Candidate(model="fastitpn_nano", acceleration=PRESETS["fast"])


def finished(**keys) -> Row:
    arguments = {
        "turns": [[0.1, 0.2], [0.3, 0.3], [0.2, 0.1]],
        "plain_turns": [[0.3, 0.3], [0.3, 0.3], [0.6, 0.6]],
        "peak_gflops": 100.0,
        "gflops": 2.0,
        "memory_mib": 7.0,
    }
    return finish_row(FAST, 64, 4, **{**arguments, **keys})


def test_figures_by_hand():
    row = finished()
    assert (row.p50_ms, row.p90_ms) == pytest.approx((200, 300))
    assert row.images_per_s == pytest.approx(4 / 0.2)
    assert row.ratio == pytest.approx(2)  # of 0.3 / 0.15, 0.3 / 0.3, 0.6 / 0.15: 2, 1 and 4
    assert row.ratio_spread == pytest.approx((1.2, 3.6))
    assert row.peak_share == pytest.approx(2.0 * 4 / 0.1 / 100)
    assert (row.model, row.acceleration, row.px, row.batch) == ("fastitpn_nano", "fast", 64, 4)
    assert (row.gflops, row.memory_mib, row.metrics, row.problem) == (2.0, 7.0, {}, None)


def test_what_is_unknown_stays_open():
    row = finished(plain_turns=[], gflops=None, memory_mib=None)
    assert (row.ratio, row.ratio_spread, row.peak_share, row.memory_mib) == (None, None, None, None)


def test_the_plain_row():
    times = [[0.1], [0.2]]
    plain = dataclasses.replace(FAST, acceleration=PRESETS["off"])
    row = finish_row(plain, 64, 1, turns=times, plain_turns=times, peak_gflops=1, gflops=1, memory_mib=1)
    assert (row.ratio, row.ratio_spread, row.plain, row.label) == (1, (1, 1), True, "fastitpn_nano")
    assert (finished().plain, finished().label) == (False, "fastitpn_nano fast")


@pytest.fixture
def case() -> Case:
    peer = Row(model="test_vit", acceleration=None, px=64, batch=4, problem="made for 160 px")
    return Case(px=64, batch=4, rounds=3, peak_gflops=1234.5, rows=(finished(), peer))


def test_the_table_names_what_did_not_run(case):
    table = case.table()
    assert table.title == "64 px, batch 4"
    assert table.columns[-1] == "of peak"
    assert [row[:3] for row in table.rows] == [
        ["fastitpn_nano fast", pytest.approx(2.0), "1.20\N{EN DASH}3.60"],
        ["test_vit", None, ""],
    ]
    assert table.caption == "Peak: 1,234 GFLOP/s. 3 rounds. test_vit did not run: made for 160 px."


def benchmark_of(*cases: Case, **keys) -> Benchmark:
    return Benchmark(
        cases=cases,
        command="fastitpn benchmark",
        environment={"torch": "2"},
        conditions={"device": "cpu"},
        accelerations={"fast": PRESETS["fast"]},
        **keys,
    )


def test_the_table_shows_the_first_metric_and_the_json_has_all(case):
    rows = (dataclasses.replace(case.rows[0], metrics={"top1": 81.5, "loss": 0.25}), case.rows[1])
    benchmark = benchmark_of(dataclasses.replace(case, rows=rows), metrics=METRICS)
    assert benchmark.metric is TOP1
    table = benchmark.cases[0].table(benchmark.metric)
    assert table.columns[-1] == "top-1 %"
    assert [row[-1] for row in table.rows] == [81.5, None]
    stored = benchmark.to_json()["rows"]
    assert [(row["top1"], row["loss"]) for row in stored] == [(81.5, 0.25), (None, None)]
    assert not {"top5", "metrics"} & set(stored[0])  # with three classes there is no top-5


def test_without_labels_for_the_first_metric_the_next_one_is_shown(case):
    """Of a detector with masks, on data that has boxes alone."""
    rows = (dataclasses.replace(case.rows[0], metrics={"box_ap": 30.0}), case.rows[1])
    benchmark = benchmark_of(dataclasses.replace(case, rows=rows), metrics=metrics_of(masks=True))
    assert benchmark.metric.name == "box_ap"
    assert benchmark_of(case, metrics=metrics_of(masks=True)).metric is None


def test_json(case):
    benchmark = benchmark_of(case, dataclasses.replace(case, px=96))
    stored = json.loads(json.dumps(benchmark.to_json()))
    assert list(stored) == ["command", "environment", "conditions", "accelerations", "cases", "rows"]
    assert stored["cases"][0] == {"px": 64, "batch": 4, "rounds": 3, "peak_gflops": 1234.5}
    assert [row["acceleration"] for row in stored["rows"]] == ["fast", None, "fast", None]
    assert stored["rows"][0]["ratio_spread"] == [1.2, 3.6]
    assert stored["accelerations"]["fast"] == json.loads(json.dumps(PRESETS["fast"].to_dict()))
    assert benchmark.rows == [*case.rows, *case.rows]
