"""Charts of measures: as pictures of a page, and as PNG and CSV files beside it."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from fastitpn.files import replacing, write_text
from fastitpn.reporting.sections import Chart, Picture, Section
from fastitpn.reporting.svg import drawing_style, to_png, to_svg

FOLDER = "charts"


def chart_picture(chart: Chart) -> Picture:
    """A chart as a picture of the page, whose caption names its files."""
    with drawing_style():
        svg = to_svg(chart.draw(), chart.title)
    files = f"Also as {FOLDER}/{chart.name}.png and .csv beside this page."
    return Picture(chart.title, svg, f"{chart.caption} {files}".strip())


def write_chart_files(folder: Path, sections: Sequence[Section]) -> None:
    """Write `charts/NAME.png` and `charts/NAME.csv` of all charts among the sections of a page.

    Args:
        folder: Folder of the page.
        sections: Sections of the page; those that are no charts are skipped.
    """
    for chart in (section for section in sections if isinstance(section, Chart)):
        (folder / FOLDER).mkdir(exist_ok=True)
        rows = io.StringIO()
        csv.writer(rows, lineterminator="\n").writerows([chart.numbers.columns, *chart.numbers.rows])
        write_text(folder / FOLDER / f"{chart.name}.csv", rows.getvalue(), errors="replace")
        with drawing_style(), replacing(folder / FOLDER / f"{chart.name}.png") as file:
            file.write(to_png(chart.draw(), chart.title))
