"""The plot, the table and the page of an acceleration that was chosen by measuring."""

import csv
import io
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.reporting.sections import Table
from fastitpn.reporting.svg import INK, MUTED, PALETTE, drawing_style, to_svg
from fastitpn.training.metric import Metric
from fastitpn.tuning.measured import Row, pareto

PNG_DPI = 160
MOST_IN_TABLE = 16


def draw_front(rows: Sequence[Row], chosen: Row, metric: Metric, max_loss: float) -> tuple[str, bytes]:
    """Loss against speed, with the intervals of both for what no other setting dominates.

    Args:
        rows: Measured on all images.
        chosen: One of them.
        metric: What was measured.
        max_loss: Points that may be lost.

    Returns:
        An `<svg>` element and a PNG file.
    """
    with drawing_style():
        figure, buffer = _front(rows, chosen, metric, max_loss), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=PNG_DPI, facecolor="white")
        return to_svg(figure, "Loss against speed"), buffer.getvalue()


def _front(rows: Sequence[Row], chosen: Row, metric: Metric, max_loss: float) -> Figure:
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    front = pareto(rows)
    for row in rows:
        if row not in front:
            axes.plot(row.ratio, row.points, "o", color=MUTED, markersize=3.5, alpha=0.6)
    ratios = [1.0, *(row.ratio for row in front)]
    axes.plot(ratios, [0.0, *(row.points for row in front)], color=PALETTE[0], linewidth=1.2, alpha=0.7)
    axes.plot(1, 0, "s", color=INK, markersize=6, label="the plain model")
    for row in front:
        (speed, loss), is_chosen = row.known, row == chosen
        colour = PALETTE[1] if is_chosen else PALETTE[0]
        axes.plot((speed.low, speed.high), (loss.points, loss.points), color=colour, linewidth=1)
        if loss.low is not None and loss.high is not None:
            axes.plot((speed.ratio, speed.ratio), (loss.low, loss.high), color=colour, linewidth=1)
        label = "chosen" if is_chosen else None
        axes.plot(speed.ratio, loss.points, "D" if is_chosen else "o", color=colour, markersize=6, label=label)
    axes.axhline(max_loss, color=MUTED, linewidth=1, linestyle="--", label="max_loss")
    axes.invert_yaxis()
    axes.margins(x=0.05, y=0.12)
    axes.grid(axis="both")
    axes.set_xlabel("speed over the plain model")
    axes.set_ylabel(f"points of {metric.label} lost")
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def front_table(rows: Sequence[Row], chosen: Row, metric: Metric) -> Table:
    """The settings that were measured on all images, the fastest first; those that no other dominates are marked."""
    front = pareto(rows)
    shown = sorted(rows, key=lambda row: (row not in front, -row.ratio))
    lines = []
    for row in shown[:MOST_IN_TABLE]:
        speed, loss = row.known
        interval = "" if loss.low is None else f"{loss.low:.2f} to {loss.high:.2f}"
        mark = "chosen" if row == chosen else "front" if row in front else ""
        spread = f"{speed.low:.2f} to {speed.high:.2f}"
        words = in_words(row.setting) + " (trained with it)" * row.trained
        lines.append(
            [words, speed.ratio, spread, round(speed.ms, 2), loss.value, round(loss.points, 3), interval, mark]
        )
    columns = ("setting", "ratio", "spread", "ms", f"{metric.label} {metric.unit}".rstrip(), "lost", "90 %", "")
    return Table("Settings", columns, lines)


def to_csv(rows: Sequence[Row], chosen: Row | None) -> str:
    """All that was measured, a line each, also of what was given up early."""
    out = io.StringIO()
    table = csv.DictWriter(out, list(_cells(Row(setting=Acceleration()), chosen)), lineterminator="\n")
    table.writeheader()
    table.writerows(_cells(row, chosen) for row in rows)
    return out.getvalue()


def _cells(row: Row, chosen: Row | None) -> Mapping[str, object]:
    migration, gathering, speed, loss = row.setting.migration, row.setting.gathering, row.speed, row.loss
    return {
        "setting": in_words(row.setting),
        "keep_ratio": "" if migration is None else migration.keep_ratio,
        "after_blocks": "" if migration is None else " ".join(map(str, migration.after_blocks)),
        "metric": "" if migration is None else migration.metric,
        "replenish": "" if migration is None else migration.replenish,
        "window": "" if gathering is None else gathering.window,
        "global_blocks": "" if gathering is None else gathering.global_blocks,
        **{f"speed_{name}": "" if speed is None else getattr(speed, name) for name in ("ratio", "low", "high", "ms")},
        **{name: "" if loss is None else getattr(loss, name) for name in ("images", "value", "points", "low", "high")},
        "final": row.final,
        "trained": row.trained,
        "chosen": row == chosen,
    }


def in_words(setting: Acceleration) -> str:
    """A setting without its name."""
    return setting.describe().removeprefix(f"{setting.name}: ")
