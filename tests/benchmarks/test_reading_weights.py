"""The benchmark of reading weights, on a small file."""

import json
from pathlib import Path

import pytest

from benchmarks import reading_weights
from fastitpn.config import parse


def test_a_small_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_weights, "peak_mib", lambda read, path, device: 20.0)
    out = tmp_path / "results.json"
    reading_weights.run(parse(reading_weights.Options, ["model=fastitpn_nano", f"folder={tmp_path}", f"out={out}"]))
    rows = json.loads(out.read_text())["rows"]
    assert [row["file"] for row in rows] == ["plain", "objects"]
    for row in rows:
        assert row["taken_mib"] == round(3_263_128 * 4 / 2**20)
        assert row["file_mib"] == pytest.approx(3 * row["taken_mib"], abs=2)
        assert row["memory_ratio"] == pytest.approx(20 / (3_263_128 * 4 / 2**20), abs=0.01)
        assert row["ours_mib"] == row["torch_mib"] == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json"]


def test_the_stored_figures_are_within_what_is_promised() -> None:
    stored = Path(reading_weights.__file__).parent / "results" / "reading_weights.json"
    for row in json.loads(stored.read_text())["rows"]:
        assert row["memory_ratio"] <= 1.3
        assert row["ours_processor_seconds"] <= row["torch_processor_seconds"] + 3
