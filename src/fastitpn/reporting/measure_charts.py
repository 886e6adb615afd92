"""Charts of what an evaluation measures: confusion matrices, curves of classes, calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from fastitpn.reporting.sections import Chart, Table
from fastitpn.reporting.svg import INK, MUTED, PALETTE, RULE
from fastitpn.reporting.values import printable, shorten

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Values on the horizontal axis, and those above them."""

_NAMED = len(PALETTE)
"""Curves that have a colour and a name; the others are grey."""


def confusion_chart(matrix: ArrayLike, class_names: Sequence[str], caption: str, *, max_classes: int = 30) -> Chart:
    """A confusion matrix as a heat map; every row is shaded by its share.

    Args:
        matrix: [classes, classes] counts, row = true class, column = predicted class.
        class_names: Names of the classes, one per row.
        caption: Words below it.
        max_classes: With more classes, only those with the most errors are drawn (shares stay those of the full row).

    Raises:
        ValueError: The matrix is not square or does not fit the names.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    if counts.shape != (len(class_names),) * 2:
        raise ValueError(f"confusion matrix of shape {counts.shape} for {len(class_names)} class names")
    rows = [(name, *row) for name, row in zip(class_names, np.asarray(matrix).tolist(), strict=True)]
    return Chart(
        "Confusion matrix",
        "confusion_matrix",
        lambda: _confusion(counts, class_names, max_classes),
        Table("Confusion matrix", ("true class", *class_names), rows),
        caption,
    )


def curves_chart(
    title: str,
    name: str,
    curves: Mapping[str, Curve],
    axes: tuple[str, str],
    *,
    numbers: Table,
    mean: Curve | None = None,
    mark: float | None = None,
    caption: str = "",
) -> Chart:
    """One curve for each class, both axes from 0 to 1.

    Args:
        title: Heading of the chart.
        name: Name of its files, without a suffix.
        curves: Class -> curve, those to be named first.
        axes: What stands on the horizontal and on the vertical axis.
        numbers: What is drawn.
        mean: A bold curve over all classes.
        mark: A value on the horizontal axis to mark.
        caption: Words below it.
    """
    return Chart(title, name, lambda: _curves(curves, axes, mean, mark), numbers, caption)


def calibration_chart(bins: Sequence[Mapping[str, Any]], caption: str) -> Chart:
    """A reliability diagram: accuracy over confidence, with the share of the images in each bin below.

    Args:
        bins: Each with `low`, `high`, `images`, `confidence` and `accuracy`; the last two are None without images.
        caption: Words below it.
    """
    columns = ("low", "high", "images", "confidence", "accuracy")
    numbers = Table("Calibration", columns, [[row[column] for column in columns] for row in bins])
    return Chart("Calibration", "calibration", lambda: _calibration(bins), numbers, caption)


def _square(width: float = 5.4, height: float = 4.4) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid()
    return figure, axes


def _curves(curves: Mapping[str, Curve], names: tuple[str, str], mean: Curve | None, mark: float | None) -> Figure:
    figure, axes = _square()
    entries = []
    for number, (name, (x, y)) in enumerate(curves.items()):
        named = number < _NAMED
        colour = PALETTE[number] if named else MUTED
        (line,) = axes.plot(x, y, color=colour, linewidth=1.3 if named else 0.7, alpha=0.9 if named else 0.35)
        if named:
            entries.append((line, shorten(printable(name), 24)))
    if mean is not None:
        (line,) = axes.plot(*mean, color=INK, linewidth=2.4)
        entries.insert(0, (line, "mean of the classes"))
    if mark is not None:
        axes.axvline(mark, color=MUTED, linewidth=1.0, linestyle="--")
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    if entries:
        figure.legend(*zip(*entries, strict=True), loc="outside upper left", ncols=3, handlelength=1.4)
    return figure


def _calibration(bins: Sequence[Mapping[str, Any]]) -> Figure:
    figure, axes = _square()
    filled = [row for row in bins if row["images"]]
    most = max((row["images"] for row in filled), default=1)
    for row in filled:
        width = row["high"] - row["low"]
        axes.bar(row["low"], 0.25 * row["images"] / most, width, align="edge", color=RULE, zorder=1)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.0, linestyle="--", zorder=2)
    points = [row["confidence"] for row in filled], [row["accuracy"] for row in filled]
    axes.plot(*points, color=PALETTE[0], marker="o", markersize=4, zorder=3)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    return figure


def _confusion(counts: NDArray[np.float64], class_names: Sequence[str], max_classes: int) -> Figure:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = np.arange(len(counts))
    if len(counts) > max_classes:
        errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
        shown = np.sort(np.argsort(-errors, kind="stable")[:max_classes])
    counts, share = counts[np.ix_(shown, shown)], share[np.ix_(shown, shown)]
    names = [shorten(printable(class_names[int(i)]), 22) for i in shown]
    size = len(shown)
    side = min(max(3.6, 1.6 + 0.42 * size), 8.0)
    figure = Figure(figsize=(side, side * 0.94), layout="constrained")
    axes = figure.add_subplot()
    # Shade by opacity, so that zero is the page's own background.
    shades = LinearSegmentedColormap.from_list("shades", [to_rgba(PALETTE[0], 0.04), to_rgba(PALETTE[0], 1.0)])
    axes.imshow(share, cmap=shades, vmin=0, vmax=1, interpolation="none")
    font_px = 8.5 if size <= 15 else 6.5
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if size > 3 else {}
    axes.set_xticks(range(size), names, **turned)
    axes.set_yticks(range(size), names)
    axes.tick_params(labelsize=font_px)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if size <= 20:
        for row, column in np.argwhere(counts > 0):
            colour = "#ffffff" if share[row, column] > 0.5 else INK
            text = f"{counts[row, column]:,.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=font_px)
    return figure
