"""The script that measures the presets."""

import json

import pytest

from benchmarks import acceleration
from benchmarks.harness.options import start
from fastitpn.benchmarking import matmul_peak
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.memory import MemoryMeter
from fastitpn.models.acceleration.settings import PRESETS


def test_arms_are_the_presets_and_their_halves() -> None:
    arms = acceleration.arms("fastitpn_nano")
    assert arms[0].plain
    assert {arm.acceleration_name for arm in arms} >= {*PRESETS, "balanced: migration alone"}
    for arm in arms:
        assert arm.acceleration is not None
        name = str(arm.acceleration_name)
        assert (arm.acceleration.migration is None) == (arm.plain or "gathering alone" in name)
        assert arm.build(64).acceleration == arm.acceleration  # a preset's window fits every map
    kinds = [(arm.acceleration.migration, arm.acceleration.gathering) for arm in arms if arm.acceleration]
    assert all(kinds.count(kind) == 1 for kind in kinds)


def test_what_is_stored(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(acceleration, "CASES", ((64, 1),))
    monkeypatch.setattr(acceleration, "MemoryMeter", lambda conditions: MemoryMeter(Conditions(device="mps")))
    monkeypatch.setattr(matmul_peak, "CPU_SIZES", ((64, 64, 64),))
    words = ["sizes=nano", "rounds=1", f"out={tmp_path / 'figures.json'}"]
    start(acceleration.Options, acceleration.run, words)
    stored = json.loads((tmp_path / "figures.json").read_text())
    assert stored["command"].startswith("python -m benchmarks.acceleration sizes=nano rounds=1")
    assert stored["environment"]["threads"] == "1"
    assert [row["acceleration"] for row in stored["rows"]] == [
        arm.acceleration_name for arm in acceleration.arms("fastitpn_nano")
    ]
    assert set(stored["accelerations"]) == {row["acceleration"] for row in stored["rows"]}
    assert "64 px, batch 1" in capsys.readouterr().out
