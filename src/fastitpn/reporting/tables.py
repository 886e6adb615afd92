"""Tables of figures, and how they are printed: framed and coloured on a terminal, plain text anywhere else."""

from collections.abc import Mapping, Sequence
from typing import TextIO

import numpy as np
from numpy.typing import ArrayLike
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fastitpn.reporting.sections import Table
from fastitpn.reporting.values import format_column, is_number, printable


def metrics_table(metrics: Mapping[str, object], title: str = "Metrics") -> Table:
    """One row per metric."""
    return Table(title, ("metric", "value"), [(name, value) for name, value in metrics.items()])


def per_class_table(matrix: ArrayLike, class_names: Sequence[str], title: str = "Accuracy by class") -> Table:
    """One row per class, the least accurate first.

    Args:
        matrix: [classes, classes] counts, row = true class, column = predicted class.
        class_names: One per row.
        title: Heading.

    Returns:
        Columns: class, images, accuracy (share of its images found; recall), precision (share of the images called so
        that are), most often taken for. None where there is nothing to divide by.

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
    columns = ("class", "images", "accuracy", "precision", "most often taken for")
    return Table(title, columns, rows, bars=("accuracy", "precision"))


def panoptic_table(scores: ArrayLike, matches: ArrayLike, class_names: Sequence[str], counted: Sequence[bool]) -> Table:
    """One row per class, the worst first.

    Args:
        scores: [classes, 3] PQ, SQ and RQ in [0, 1]; nan for a class that is neither there nor found.
        matches: [classes, 4] sum of IoU, matches, misses and false alarms.
        class_names: One per row.
        counted: Of each class, whether it is of things.

    Returns:
        Columns: class, kind, segments, PQ, SQ, RQ, missed, false alarms.
    """
    rows: list[tuple[object, ...]] = []
    for name, thing, qualities, counts in zip(
        class_names, counted, np.asarray(scores), np.asarray(matches), strict=True
    ):
        _, hits, missed, wrong = (int(number) for number in counts)
        there = [None if np.isnan(quality) else float(quality) for quality in qualities]
        rows.append((name, "thing" if thing else "stuff", hits + missed, *there, missed, wrong))
    rows.sort(key=lambda row: (row[3] is None, row[3] or 0.0))
    columns = ("class", "kind", "segments", "PQ", "SQ", "RQ", "missed", "false alarms")
    return Table("Panoptic quality by class", columns, rows, bars=("PQ",))


def iou_table(matrix: ArrayLike, class_names: Sequence[str], title: str = "IoU by class") -> Table:
    """One row per class, the worst first.

    Args:
        matrix: [classes, classes] counts of pixels, row = true class, column = predicted class.
        class_names: One per row.
        title: Heading.

    Returns:
        Columns: class, pixels (share of all), IoU, accuracy (share of its pixels found), most often taken for. None
        where there is nothing to divide by.

    Raises:
        ValueError: The matrix does not fit the names.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    if counts.shape != (len(class_names),) * 2:
        raise ValueError(f"confusion matrix of shape {counts.shape} for {len(class_names)} class names")
    wrong = counts - np.diag(np.diag(counts))
    total = max(1, int(counts.sum()))
    rows: list[tuple[object, ...]] = []
    for i, name in enumerate(class_names):
        hits, pixels, either = int(counts[i, i]), int(counts[i].sum()), int(counts[i].sum() + wrong[:, i].sum())
        rival = int(wrong[i].argmax())
        share = wrong[i, rival] / pixels if pixels else 0
        rows.append(
            (
                name,
                pixels / total,
                hits / either if either else None,
                hits / pixels if pixels else None,
                f"{class_names[rival]} ({share:.0%})" if share >= 0.005 else None,
            )
        )
    rows.sort(key=lambda row: (row[2] is None, row[2]))
    columns = ("class", "pixels", "IoU", "accuracy", "most often taken for")
    return Table(title, columns, rows, bars=("IoU", "accuracy"))


def arms_table(
    arms: Mapping[str, Mapping[str, float]], baseline: str | None = None, title: str = "Comparison"
) -> Table:
    """One row per arm of a comparison, one column per metric.

    Args:
        arms: Label -> metrics. A metric that an arm lacks is left open.
        baseline: An arm whose figures the others' are compared with: adds a column of differences per metric.
        title: Heading.
    """
    metrics = list(dict.fromkeys(name for values in arms.values() for name in values))
    columns: list[str] = ["arm"]
    for name in metrics:
        columns += [name] if baseline is None else [name, f"Δ {name}"]
    rows = []
    for label, values in arms.items():
        row: list[object] = [label]
        for name in metrics:
            value = values.get(name)
            row.append(value)
            if baseline is not None:
                start = arms[baseline].get(name)
                row.append(value - start if value is not None and start is not None and label != baseline else None)
        rows.append(row)
    return Table(title, columns, rows)


def print_table(table: Table, file: TextIO | None = None) -> None:
    """Print a table.

    Args:
        table: What to print. Markup and control characters in names are shown, never obeyed.
        file: Where to; standard output if None. Without a terminal behind it lines are never cut or coloured.
    """
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
