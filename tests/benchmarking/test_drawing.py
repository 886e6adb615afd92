import io

import pytest
from PIL import Image

from fastitpn.benchmarking.drawing import draw_quality, draw_ratios
from fastitpn.benchmarking.result import Benchmark, Case, Row
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.tasks.classify.metrics import TOP1


def row(acceleration: str | None, ratio: float | None, **keys) -> Row:
    figures = {"gflops": 4.0, "ratio_spread": None if ratio is None else (0.9 * ratio, 1.1 * ratio)}
    shared = {"model": "test_vit" if acceleration is None else "fastitpn_nano", "px": 64, "batch": 1}
    return Row(acceleration=acceleration, ratio=ratio, **{**shared, **figures, **keys})


def benchmark(*cases: Case) -> Benchmark:
    return Benchmark(
        cases=cases,
        command="",
        environment={},
        conditions={},
        accelerations={name: PRESETS[name] for name in ("off", "fast")},
        metrics=(TOP1,),
    )


def case(*rows: Row, px: int = 64, batch: int = 1) -> Case:
    return Case(px=px, batch=batch, rounds=5, peak_gflops=100, rows=rows)


def size(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


def test_ratios_of_all_rows_but_the_plain_one():
    rows = (row("off", 1.0), row("fast", 1.62, gflops=2.0), row(None, 0.55), row(None, None, problem="made for 160 px"))
    svg, png = draw_ratios(benchmark(case(*rows), case(row("off", 1.0), row("fast", 2.41), px=128, batch=8)))
    for text in ("fast", "1.62", "test_vit", "0.55", "made for 160 px", "2.41", "64 px, batch 1", "128 px, batch 8"):
        assert f">{text}<" in svg, text
    assert ">off<" not in svg
    assert svg.count("what its operations promise") == 1
    taller = size(draw_ratios(benchmark(case(*rows, *rows)))[1])[1]
    assert size(png)[0] > 600
    assert taller > size(draw_ratios(benchmark(case(*rows)))[1])[1]


@pytest.mark.parametrize(
    "rows", [(), (row("off", 1.0),), (row("off", None, problem="out of memory"), row("fast", None))]
)
def test_where_there_is_nothing_to_compare(rows):
    svg, png = draw_ratios(benchmark(case(*rows)))
    assert svg.startswith("<svg")
    assert size(png)[1] > 100


def test_quality_against_speed():
    cases = [
        case(
            row("off", 1.0, images_per_s=100.0 / scale, metrics={"top1": 80.0 + scale}),
            row("fast", 1.5, images_per_s=150.0 / scale, metrics={"top1": 78.5 + scale}),
            row(None, 0.5, images_per_s=20.0),
            px=64 * scale,
        )
        for scale in (1, 2)
    ]
    svg, png = draw_quality(benchmark(*cases))
    for text in ("off", "fast", "64 px", "128 px", "images per second, batch 1", "top-1, %"):
        assert f">{text}<" in svg, text
    assert "test_vit" not in svg
    assert size(draw_quality(benchmark(*cases, case(*cases[0].rows, batch=8)))[1])[1] > size(png)[1]
