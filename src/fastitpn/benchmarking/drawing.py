"""The plots of a benchmark: quality against speed, and speed beside what the operations promise."""

import io
from collections.abc import Callable, Iterator
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from fastitpn.benchmarking.result import Benchmark, Case, Row
from fastitpn.reporting.svg import INK, MUTED, PALETTE, drawing_style, to_svg
from fastitpn.reporting.values import printable, shorten
from fastitpn.training.metric import Metric

PNG_DPI = 160
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Markers of the accelerations, in their order."""


def draw_quality(benchmark: Benchmark) -> tuple[str, bytes]:
    """The task's first metric against images per second: a colour per size, a shape per acceleration.

    Returns:
        An `<svg>` element and a PNG file.
    """
    return _drawn(lambda: _quality(benchmark), "Quality against speed")


def draw_ratios(benchmark: Benchmark) -> tuple[str, bytes]:
    """Speed over that of the plain model: a panel for each size and batch, a bar for each other row.

    Returns:
        An `<svg>` element and a PNG file.
    """
    return _drawn(lambda: _ratios(benchmark), "Speed over the plain model")


def _drawn(draw: Callable[[], Figure], title: str) -> tuple[str, bytes]:
    with drawing_style():
        figure, buffer = draw(), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=PNG_DPI, facecolor="white")
        return to_svg(figure, title), buffer.getvalue()


def _quality(benchmark: Benchmark) -> Figure:
    metric = benchmark.metric
    sizes = list(dict.fromkeys(case.px for case in benchmark.cases))
    batches = list(dict.fromkeys(case.batch for case in benchmark.cases))
    shapes = dict(zip((name for name in benchmark.accelerations), cycle(MARKERS), strict=False))
    figure = Figure(figsize=(6.4, 0.5 + 3.4 * len(batches)), layout="constrained")
    panels = figure.subplots(len(batches), 1, squeeze=False)[:, 0]
    for batch, axes in zip(batches, panels, strict=True):
        for case in (case for case in benchmark.cases if case.batch == batch):
            points = sorted(_points(case, metric))
            colour = PALETTE[sizes.index(case.px) % len(PALETTE)]
            axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=colour, linewidth=1.2, alpha=0.6)
            for x, y, name in points:
                axes.plot(x, y, shapes[name], color=colour, markersize=6.5)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.08, y=0.15)
        axes.grid(axis="both")
        axes.set_xlabel(f"images per second, batch {batch}")
        if metric is not None:
            axes.set_ylabel(", ".join(filter(None, (metric.label, metric.unit))))
    entries = [Line2D([], [], color=PALETTE[i % len(PALETTE)], label=f"{px} px") for i, px in enumerate(sizes)]
    entries += [
        Line2D([], [], color=MUTED, marker=shape, linestyle="", markersize=6.5, label=printable(name))
        for name, shape in shapes.items()
    ]
    figure.legend(handles=entries, loc="outside upper left", ncols=6, handlelength=1.4, columnspacing=1.4)
    return figure


def _points(case: Case, metric: Metric | None) -> Iterator[tuple[float, float, str]]:
    """Images per second, the metric and the acceleration of the rows that have all of them."""
    for row in case.rows:
        if metric is not None and metric.name in row.metrics and row.images_per_s is not None:
            yield row.images_per_s, row.metrics[metric.name], row.acceleration or ""


def _ratios(benchmark: Benchmark) -> Figure:
    shown = [[row for row in case.rows if not row.plain] for case in benchmark.cases]
    heights = [max(1, len(rows)) for rows in shown]
    figure = Figure(figsize=(6.4, 0.9 + 0.62 * len(heights) + 0.34 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for case, rows, axes in zip(benchmark.cases, shown, panels, strict=True):
        _ratio_panel(axes, case, rows)
    panels[-1].set_xlabel("speed over the plain model at the same size and batch")
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def _ratio_panel(axes: Axes, case: Case, rows: list[Row]) -> None:
    plain = next((row for row in case.rows if row.plain), None)
    for place, row in enumerate(rows):
        if row.ratio is None or row.ratio_spread is None:
            reason = shorten(printable(row.problem or "nothing to compare with"), 60)
            axes.annotate(reason, (0, place), (4, 0), textcoords="offset points", va="center", color=MUTED)
            continue
        colour = MUTED if row.acceleration is None else PALETTE[0]
        axes.barh(place, row.ratio, height=0.62, color=colour, alpha=0.85)
        label = _once(axes, "middle 80 % of the rounds")
        axes.plot(row.ratio_spread, (place, place), color=INK, linewidth=1.2, label=label)
        if row.gflops and plain is not None and plain.gflops:
            label = _once(axes, "what its operations promise")
            promise = plain.gflops / row.gflops
            axes.plot(promise, place, "D", color=PALETTE[1], markersize=4.5, linestyle="", label=label)
        at_right = axes.get_yaxis_transform()
        axes.text(1.02, place, f"{row.ratio:.2f}", transform=at_right, va="center", color=INK, fontweight="bold")
    names = [shorten(printable(row.acceleration or row.model), 34) for row in rows]
    axes.set_yticks(range(len(rows)), names, color=INK)
    axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    axes.axvline(1, color=INK, linewidth=1.0)
    axes.margins(x=0.04)
    axes.set_xlim(left=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.set_title(case.title, loc="left", fontsize=9.5, color=MUTED)


def _once(axes: Axes, label: str) -> str | None:
    """The label, unless something in the panel has it."""
    return None if label in axes.get_legend_handles_labels()[1] else label
