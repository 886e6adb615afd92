import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from fastitpn.reporting import charts
from fastitpn.reporting.chart_files import chart_picture
from fastitpn.reporting.charts import bars, curves, metric_names
from fastitpn.reporting.measure_charts import confusion_chart
from fastitpn.reporting.svg import PALETTE
from fastitpn.training.metric import LOSS

pytestmark = pytest.mark.drawn

HOSTILE = "<script>alert(1)</script> $x$ & \x1b"


def confusion_matrix(matrix, names, **keys) -> str:
    return chart_picture(confusion_chart(matrix, names, "", **keys)).image


def history(steps: int = 8, start: float = 2.0) -> list[dict]:
    rows = []
    for step in range(steps):
        rows.append({"step": step, "epoch": step / 4, "split": "train", "loss": start / (step + 1), "lr": 1e-3})
    return [*rows, {"step": steps, "split": "val", "loss": 0.5, "top1": 0.8}]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


def test_metrics_are_found_loss_first() -> None:
    rows = [{"step": 1, "epoch": 0.1, "split": "train", "images_per_s": 3.0, "loss": 1.0, "good": True, "lr": 1e-4}]
    assert metric_names({"a": rows, "b": [{"step": 1, "top1": 0.5}]}) == ["loss", "lr", "images_per_s", "top1"]


def test_a_single_run_shows_both_splits() -> None:
    svg = curves({"run": history()}, LOSS)
    assert {"training", "validation", "step"} <= set(texts(svg))
    assert svg.count(f"stroke: {PALETTE[0]}") >= 1
    assert svg.count(f"stroke: {PALETTE[1]}") >= 1


def test_several_runs_are_overlaid_with_their_labels() -> None:
    svg = curves({"_pre-trained": history(), "scratch": history(start=3.0)}, LOSS, log=True)
    assert {"_pre-trained", "scratch"} <= set(texts(svg))
    assert "mathdefault" not in svg


def test_rows_that_hold_no_number_are_left_out() -> None:
    rows = history()
    gaps = [{"step": 3, "split": "train", "loss": bad} for bad in (math.nan, math.inf, None, "x", True)]
    assert curves({"run": [*gaps, *rows]}, LOSS) == curves({"run": rows}, LOSS)


def test_order_of_rows_does_not_matter() -> None:
    assert curves({"run": history()[::-1]}, LOSS) == curves({"run": history()}, LOSS)


@pytest.mark.parametrize("rows", [[], [{"step": 0, "split": "train", "loss": 1.0}]])
@pytest.mark.parametrize("log", [False, True])
def test_runs_that_have_just_begun(rows: list[dict], log: bool) -> None:
    svg = curves({"run": rows}, LOSS, log=log)
    assert ("no rows yet" in texts(svg)) == (not rows)


def test_long_histories_stay_small() -> None:
    rng = np.random.default_rng(0)
    rows = [{"step": i, "split": "train", "loss": float(rng.normal())} for i in range(20_000)]
    assert len(curves({"run": rows}, LOSS)) < 60_000


def test_the_running_mean_keeps_a_constant_curve_constant() -> None:
    rows = [{"step": i, "split": "train", "loss": 2.0} for i in range(100)]
    drawn = re.findall(rf'd="([^"]+)"[^>]*stroke: {PALETTE[0]}', curves({"run": rows}, LOSS))
    heights = {y for path in drawn for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", path)}
    assert len(drawn) == 2
    assert len({round(float(y), 3) for y in heights}) == 1


def test_drawings_are_deterministic_and_leave_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    assert curves({"run": history()}, LOSS) == curves({"run": history()}, LOSS)
    assert dict(matplotlib.rcParams) == before


def test_no_backend_is_chosen_for_the_user() -> None:
    for file in Path(charts.__file__).parent.glob("*.py"):
        source = file.read_text(encoding="utf-8")
        assert "pyplot" not in source, file.name
        assert "matplotlib.use" not in source, file.name


def test_names_are_text_never_markup_or_formulas() -> None:
    drawings = [
        curves({HOSTILE: history(), "b": history()}, LOSS),
        confusion_matrix([[3, 1], [0, 2]], [HOSTILE, "犬"]),
        bars({HOSTILE: 0.5, "b": [0.4, 0.6]}, label=HOSTILE),
    ]
    for svg in drawings:
        assert not [element for element in ET.fromstring(svg).iter() if element.tag.endswith("script")]
        assert any(text.startswith("<script>alert(1)") for text in texts(svg))


def test_drawings_load_nothing_and_share_no_ids() -> None:
    first, second = confusion_matrix([[3, 1], [0, 2]], ["a", "b"]), curves({"run": history()}, LOSS)
    for svg in (first, second):
        assert svg.startswith("<svg")
        assert "<style" not in svg
        ids = set(re.findall(r'id="([^"]+)"', svg))
        references = set(re.findall(r'href="([^"]+)"', svg)) | set(re.findall(r"url\(([^)]+)\)", svg))
        assert ids
        assert all(r.startswith("data:image/png") or r.removeprefix("#") in ids for r in references)
    assert not set(re.findall(r'id="([^"]+)"', first)) & set(re.findall(r'id="([^"]+)"', second))


def test_ink_follows_the_page() -> None:
    svg = confusion_matrix([[3, 1], [0, 2]], ["a", "b"])
    assert "var(--ink" in svg
    assert "#0b0c0d" not in svg
    assert "DejaVu" not in svg


def test_confusion_matrix_shows_counts_and_names() -> None:
    assert {"cat", "dog", "31", "7", "predicted", "true"} <= set(
        texts(confusion_matrix([[31, 7], [0, 5]], ["cat", "dog"]))
    )
    assert "0" not in texts(confusion_matrix([[31, 7], [0, 5]], ["cat", "dog"]))


def test_of_many_classes_the_confused_ones_are_shown() -> None:
    matrix = np.eye(50, dtype=int) * 10
    matrix[7, 41] = 5
    shown = [
        t for t in texts(confusion_matrix(matrix, [f"class {i}" for i in range(50)], max_classes=2)) if "class" in t
    ]
    assert set(shown) == {"class 7", "class 41"}


def test_confusion_matrix_must_fit_the_names() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for 3 class names"):
        confusion_matrix([[1, 0], [0, 1]], ["a", "b", "c"])


def test_bars_write_mean_and_difference() -> None:
    written = texts(bars({"pre-trained": [0.90, 0.92], "scratch": 0.80}, baseline="scratch", label="top-1"))
    assert "0.9100  (+0.1100)" in written
    assert "0.8000" in written
    worse = texts(bars({"pre-trained": 0.7, "scratch": 0.80}, baseline="scratch"))
    assert "0.7000  (\N{MINUS SIGN}0.1000)" in worse
