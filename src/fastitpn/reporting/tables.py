"""Tables of figures, and how they are printed: framed and coloured on a terminal, plain text anywhere else."""

import io
from collections.abc import Mapping, Sequence
from typing import TextIO

import numpy as np
from numpy.typing import ArrayLike
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fastitpn.console import is_printing, say
from fastitpn.reporting.sections import Table
from fastitpn.reporting.values import format_column, is_number, printable


def metrics_table(metrics: Mapping[str, object], title: str = "Metrics") -> Table:
    """One row per metric."""
    return Table(title, ("metric", "value"), [(name, value) for name, value in metrics.items()])


def per_class_table(matrix: ArrayLike, class_names: Sequence[str], title: str = "Accuracy by class") -> Table:
    """One row per class, the least accurate first.

    Args:
        matrix: [classes, classes] counts, row = true class, column = predicted class.
        class_names: Names of the classes, one per row.
        title: Heading of the table.

    Returns:
        Columns: class, images, accuracy (share of its images found; recall), precision (share of the images called so
        that are), most often predicted as. None where there is nothing to divide by.

    Raises:
        ValueError: The matrix does not fit the names.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    if counts.shape != (len(class_names),) * 2:
        raise ValueError(f"confusion matrix of shape {counts.shape} for {len(class_names)} class names")
    wrong = counts - np.diag(np.diag(counts))
    rows: list[tuple[object, ...]] = []
    for i, name in enumerate(class_names):
        hits, images, called = int(counts[i, i]), int(counts[i].sum()), int(counts[:, i].sum())
        rival = int(wrong[i].argmax())
        rows.append(
            (
                name,
                images,
                hits / images if images else None,
                hits / called if called else None,
                f"{class_names[rival]} ({wrong[i, rival]})" if wrong[i, rival] else None,
            )
        )
    rows.sort(key=lambda row: (row[2] is None, row[2]))
    columns = ("class", "images", "accuracy", "precision", "most often predicted as")
    return Table(title, columns, rows, bars=("accuracy", "precision"))


def print_table(table: Table, file: TextIO | None = None) -> None:
    """Print a table.

    Args:
        table: What to print. Markup and control characters in names are shown, never obeyed.
        file: Where to; None for standard output, or the log where nothing is printed. Without a terminal behind it
            lines are never cut or coloured.
    """
    if file is None and not is_printing():
        text = io.StringIO()
        print_table(table, text)
        say(text.getvalue().rstrip())
        return
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, width=10_000, color_system=None, highlight=False)
    view = RichTable(box=box.SIMPLE_HEAD if console.is_terminal else None, header_style="bold", pad_edge=False)
    written = []
    for column, name in enumerate(table.columns):
        values = [row[column] for row in table.rows]
        numeric = any(map(is_number, values)) and all(v is None or is_number(v) for v in values)
        view.add_column(Text(printable(name)), justify="right" if numeric else "left")
        written.append(format_column(values))
    for cells in zip(*written, strict=True):
        view.add_row(*(Text(cell) for cell in cells))
    console.print(Text(printable(table.title), style="bold"))
    console.print(view)
    if table.caption:
        console.print(Text(printable(table.caption), style="dim"))
