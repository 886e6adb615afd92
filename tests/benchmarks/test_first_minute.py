"""The script that times what a user waits for."""

import pytest
from PIL import Image

from benchmarks import first_minute


def test_what_ends_without_a_bar_is_said_with_its_words():
    with pytest.raises(RuntimeError, match="ended without a bar:\nusage"):
        first_minute.first_signs(["json.tool", "--help"])


def test_the_first_line_comes_before_the_first_bar(tmp_path, monkeypatch):
    lines = ["import time", "print('reads data', flush=True)", "time.sleep(0.2)", "print('\u2501\u2501', flush=True)"]
    (tmp_path / "slow_to_draw.py").write_text("\n".join([*lines, "time.sleep(60)"]), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    seen = first_minute.first_signs(["slow_to_draw"])
    assert seen["first bar"][0] - seen["first line"][0] >= 0.19


def test_times_are_medians():
    assert first_minute.describe_times([(1.0, 0.1), (9.0, 0.3), (2.0, 0.2)]) == {"s": [2.0, 0.2]}


def test_the_report_has_all_photographs(tmp_path, monkeypatch):
    Image.new("RGB", (40, 30), (200, 0, 0)).save(tmp_path / "a.png")
    Image.new("RGB", (40, 30), (0, 200, 0)).save(tmp_path / "b.png")
    monkeypatch.setattr(first_minute, "PICTURES", 5)
    size = first_minute.long_report(tmp_path, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert size == len(page.encode()) / 1e6
    assert (page.count(">a.png<"), page.count(">b.png<")) == (3, 2)
