"""Charts as SVG text: curves of one or several runs, comparisons of arms."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from fastitpn.reporting.svg import INK, MUTED, PALETTE, drawing_style, to_svg
from fastitpn.reporting.values import format_column, is_number, printable, shorten
from fastitpn.training.metric import Metric

History = Iterable[Mapping[str, Any]]
"""Rows of a run's metrics.jsonl: `{"step": 10, "split": "train", "loss": 0.7, "lr": 1e-4, ...}`."""

_POINTS, _POINTS_TO_ZOOM = 400, 1200
"""Points drawn per curve: more than a reader can see, few enough for a small file; and those kept for zooming in."""


def metric_names(runs: Mapping[str, History]) -> list[str]:
    """Every numeric metric in the rows: loss first, learning rate second, then in order of appearance."""
    names: dict[str, None] = {}
    for rows in runs.values():
        for row in rows:
            names.update((k, None) for k, v in row.items() if is_number(v) and k not in ("step", "epoch"))
    return sorted(names, key=lambda name: ("loss", "lr").index(name) if name in ("loss", "lr") else 2)


def curves(runs: Mapping[str, Sequence[Mapping[str, Any]]], metric: Metric, *, log: bool = False) -> str:
    """Draw one metric against the step.

    A single run shows its splits in two colours; of several runs each has a colour, with training thin and
    validation bold. Training curves of many rows are drawn twice: every row faintly, and their running mean.
    The element also carries its numbers, from which a report's script makes a chart to zoom and to read off.

    Args:
        runs: Label -> rows of metrics.jsonl. Rows without the metric, or with a non-finite one, are left out.
        metric: What to draw; its name is the key in the rows.
        log: Logarithmic value axis.

    Returns:
        An `<svg>` element.
    """
    title = metric.title
    with drawing_style():
        figure = Figure(figsize=(5.4, 3.1), layout="constrained")
        axes = figure.add_subplot()
        entries: list[tuple[Line2D, str]] = []
        kept: list[dict[str, Any]] = []
        for number, (label, rows) in enumerate(runs.items()):
            series = {split: _series(rows, metric.name, split) for split in ("train", "val")}
            series = {split: points for split, points in series.items() if len(points[0])}
            for split, (steps, values) in series.items():
                single = len(runs) == 1
                colour = PALETTE[("train", "val").index(split) if single else number % len(PALETTE)]
                light = not single and split == "train" and "val" in series
                smooth = _is_smoothed(values, metric.name, split == "val")
                line = _draw_curve(axes, steps, values, colour, dots=split == "val", light=light, smooth=smooth)
                names = {"train": "training", "val": "validation"}
                entry = names[split] if single else printable(label)
                if single or not light:
                    entries.append((line, entry))
                name = entry if single or len(series) == 1 else f"{entry}, {names[split]}"
                kept.append(
                    _numbers(steps, values, metric.name, name=name, colour=colour, light=light, dots=split == "val")
                )
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y")
        axes.margins(x=0.02)
        axes.set_xlabel("step")
        axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
        if metric.name == "lr" and not log:
            axes.ticklabel_format(axis="y", scilimits=(-2, 3))
        if not entries:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no rows yet", transform=axes.transAxes, ha="center", color=MUTED)
        elif len(entries) > 1 or len(runs) > 1 or entries[0][1] == "validation":
            _legend(figure, entries)
        svg = to_svg(figure, f"{title} against step")
    if not entries:
        return svg
    content = json.dumps({"log": log, "series": kept}, ensure_ascii=False, separators=(",", ":"))
    return svg.replace("<svg ", f'<svg data-curves="{escape(content)}" ', 1)


def bars(arms: Mapping[str, float | Sequence[float]], *, label: str = "", baseline: str | None = None) -> str:
    """Draw one horizontal bar per arm, with its value.

    Args:
        arms: Label -> value, or one value per seed: the bar is then their mean and each seed a dot.
        label: What is measured, with its unit.
        baseline: An arm to draw in grey and to state the others' differences from.

    Returns:
        An `<svg>` element.
    """
    seeds = [np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in arms.values()]
    means = [float(values.mean()) for values in seeds]
    start = means[list(arms).index(baseline)] if baseline is not None else None
    written = format_column(means)
    with drawing_style():
        figure = Figure(figsize=(5.4, 0.75 + 0.44 * len(arms)), layout="constrained")
        axes = figure.add_subplot()
        for row, (name, values, mean) in enumerate(zip(arms, seeds, means, strict=True)):
            axes.barh(row, mean, height=0.62, color=MUTED if name == baseline else PALETTE[0], alpha=0.85)
            if len(values) > 1:
                axes.plot(values, [row] * len(values), "o", color=INK, markersize=3, alpha=0.7)
            text = written[row]
            if start is not None and name != baseline:
                difference = format_column([*means, mean - start])[-1]
                text += f"  ({'' if difference.startswith('-') else '+'}{difference})".replace("-", "\N{MINUS SIGN}")
            end = max(0.0, mean, *(values if len(values) > 1 else ()))
            axes.annotate(text, (end, row), (6, 0), textcoords="offset points", va="center", fontweight="bold")
        axes.set_yticks(range(len(arms)), [shorten(printable(name), 32) for name in arms], color=INK)
        axes.invert_yaxis()
        axes.margins(x=0.28 if start is not None else 0.14)
        axes.set_xlim(left=min(0.0, *means, 0.0))
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.set_xlabel(printable(label))
        return to_svg(figure, printable(label) or "Comparison")


def _series(rows: History, metric: str, split: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps and finite values of one split, in order of step."""
    points = [
        (float(row["step"]), float(row[metric]))
        for row in rows
        if row.get("split", "train") == split and is_number(row.get(metric)) and math.isfinite(row[metric])
    ]
    table = np.array(sorted(points), dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _numbers(
    steps: NDArray[np.float64],
    values: NDArray[np.float64],
    metric: str,
    *,
    name: str,
    colour: str,
    light: bool,
    dots: bool,
) -> dict[str, Any]:
    """A curve as plain types: `values` is what is drawn in full, `rows` what is drawn faintly behind it."""
    smooth = _is_smoothed(values, metric, dots)
    x, rows = _thinned(steps, values, _POINTS_TO_ZOOM)
    drawn = _thinned(steps, _running_mean(values, window=len(values) // 30), _POINTS_TO_ZOOM)[1] if smooth else rows
    curve = {"name": name, "colour": colour, "light": light, "dots": dots, "x": _rounded(x), "values": _rounded(drawn)}
    return curve | {"rows": _rounded(rows)} if smooth else curve


def _rounded(values: NDArray[np.float64]) -> list[float]:
    """Six significant digits, whole numbers without a point."""
    return [int(value) if value == int(value) else float(f"{value:.6g}") for value in values.tolist()]


def _is_smoothed(values: NDArray[np.float64], metric: str, dots: bool) -> bool:
    return metric != "lr" and not dots and len(values) > 60


def _draw_curve(
    axes: Axes,
    steps: NDArray[np.float64],
    values: NDArray[np.float64],
    colour: str,
    *,
    dots: bool,
    light: bool,
    smooth: bool,
) -> Line2D:
    """Draw one curve and return the line that stands for it in the legend."""
    width, opacity = (1.0, 0.45) if light else (1.8, 1.0)
    if smooth:
        axes.plot(*_thinned(steps, values), color=colour, linewidth=0.8, alpha=0.22)
        values = _running_mean(values, window=len(values) // 30)
    steps, values = _thinned(steps, values)
    marker = "o" if (dots and len(values) <= 40) or len(values) == 1 else None
    (line,) = axes.plot(steps, values, color=colour, linewidth=width, alpha=opacity, marker=marker, markersize=3.5)
    return line


def _thinned(
    steps: NDArray[np.float64], values: NDArray[np.float64], points: int = _POINTS
) -> tuple[NDArray[np.float64], ...]:
    """At most so many points: means of neighbours, so that no peak is drawn that was not there."""
    if len(values) <= points:
        return steps, values
    groups = np.array_split(np.arange(len(values)), points)
    return np.array([steps[g].mean() for g in groups]), np.array([values[g].mean() for g in groups])


def _running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Centred mean over up to `window` neighbours, fewer at the ends."""
    ones = np.ones(window)
    return np.convolve(values, ones, mode="same") / np.convolve(np.ones_like(values), ones, mode="same")


def _legend(figure: Figure, entries: Sequence[tuple[Line2D, str]]) -> None:
    handles, labels = zip(*entries, strict=True)
    labels = tuple(shorten(label, 28) for label in labels)
    columns = 1 if max(map(len, labels)) > 20 else 3
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=1.4, columnspacing=1.4)
