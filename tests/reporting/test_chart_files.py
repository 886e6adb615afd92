"""Charts beside a page: a picture and its numbers."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from fastitpn.reporting.measure_charts import confusion_chart, curves_chart
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Table, Text

NAMES = ['a "quoted", name', "犬"]


@pytest.mark.drawn
def test_a_png_and_a_csv_lie_beside_the_page(tmp_path):
    sections = [confusion_chart([[3, 1], [0, 2]], NAMES, "Words."), Text("t", "x")]
    page = write_report(tmp_path / "report.html", title="T", sections=sections)
    files = {path.name: path for path in (tmp_path / "charts").iterdir()}
    assert files.keys() == {"confusion_matrix.png", "confusion_matrix.csv"}
    rows = list(csv.reader(io.StringIO(files["confusion_matrix.csv"].read_text(encoding="utf-8"))))
    assert rows == [["true class", *NAMES], [NAMES[0], "3", "1"], [NAMES[1], "0", "2"]]
    with Image.open(files["confusion_matrix.png"]) as image:
        assert min(image.size) > 300
        assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert "Words. Also as charts/confusion_matrix.png and .csv beside this page." in page.read_text(encoding="utf-8")


def test_a_page_without_charts_has_no_folder(tmp_path):
    write_report(tmp_path / "report.html", title="T", sections=[Text("t", "x")])
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_many_curves_are_drawn_and_few_named():
    curve = (np.linspace(0, 1, 5), np.linspace(1, 0, 5))
    chart = curves_chart(
        "T", "n", {f"class {i}": curve for i in range(30)}, ("x", "y"), numbers=Table("T", (), ()), mean=curve, mark=0.4
    )
    figure = chart.draw()
    assert len(figure.axes[0].lines) == 32
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "mean of the classes",
        *(f"class {i}" for i in range(8)),
    ]
