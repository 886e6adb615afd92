"""Runs side by side: their figures, their curves over each other, and where their settings differ."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastitpn.config.recipe import flatten
from fastitpn.config.values import show
from fastitpn.reporting.charts import curves, metric_names
from fastitpn.reporting.sections import Grid, Picture, Section, Table
from fastitpn.reporting.values import format_column, is_number
from fastitpn.training.metric import Metric, describe_metric

_NOT_A_SETTING = ("out",)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is known of a run.

    Attributes:
        label: What to call it; each run has its own.
        verb: Command of the run, such as "finetune classify".
        complete: Whether it reached its last step.
        config: Every key, nested as it was written.
        metrics: Final figures of the run.
        history: Rows of its metrics.jsonl.
        known: Metrics that its task declares.
    """

    label: str
    verb: str
    complete: bool
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    known: Sequence[Metric] = ()


def comparison_sections(records: Sequence[RunRecord]) -> list[Section]:
    """Figures, curves and differences, for a report."""
    histories = {record.label: record.history for record in records}
    metrics = [metric_of(name, records) for name in _curve_names(records)]
    drawn = [Picture(metric.title, curves(histories, metric)) for metric in metrics]
    caption = "Where a run has both, training is thin and validation bold." if drawn else ""
    return [
        figures_table(records),
        *([Grid("Curves", drawn, caption)] if drawn else []),
        settings_table(records),
        runs_table(records),
    ]


def metric_of(name: str, records: Sequence[RunRecord]) -> Metric:
    """The metric of a name, as the task of one of the runs declares it."""
    return describe_metric(name, [metric for record in records for metric in record.known])


def figures_table(records: Sequence[RunRecord]) -> Table:
    """One row per figure, one column per run, with the difference to the first run."""
    names = dict.fromkeys(name for record in records for name, value in record.metrics.items() if is_number(value))
    rows = []
    for name in names:
        values = [value if is_number(value := record.metrics.get(name)) else None for record in records]
        rows.append([metric_of(name, records).title, *_with_differences(values)])
    columns = ["", *(record.label for record in records)]
    return Table("Metrics", columns, rows, caption=f"In brackets: the difference to {records[0].label}.")


def settings_table(records: Sequence[RunRecord]) -> Table:
    """One row per key that is not the same in all runs."""
    configs = [flatten(record.config) for record in records]
    keys = dict.fromkeys(key for config in configs for key in config)
    rows = []
    for key in keys:
        values = [show(config[key]) if key in config else None for config in configs]
        if len(set(values)) > 1 and key not in _NOT_A_SETTING:
            rows.append([key, *values])
    caption = "A dash: the run has no such key." if rows else "There are none."
    return Table("Differences in the settings", ["key", *(record.label for record in records)], rows, caption=caption)


def runs_table(records: Sequence[RunRecord]) -> Table:
    """What each run is."""
    rows = [
        [
            record.label,
            record.verb or None,
            record.config.get("model"),
            max((row["step"] for row in record.history if is_number(row.get("step"))), default=None),
            _median(record.history, "images_per_s"),
            _median(record.history, "memory_mib"),
            "yes" if record.complete else "not complete",
        ]
        for record in records
    ]
    columns = ("run", "command", "model", "steps", "images per second", "MiB", "complete")
    return Table("Runs", columns, rows, caption="Speed and memory: medians over the rows of the log.")


def _median(history: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in history if is_number(row.get(name))]
    return statistics.median(values) if values else None


def _curve_names(records: Sequence[RunRecord]) -> list[str]:
    """All metrics: the losses, what was measured on validation images, and then the rest."""
    names = metric_names({record.label: record.history for record in records})
    validated = {name for record in records for row in record.history if row.get("split") == "val" for name in row}
    return sorted(names, key=lambda name: 0 if name.startswith("loss") else 1 if name in validated else 2)


def _with_differences(values: Sequence[float | None]) -> list[str]:
    """Written with the same decimals; from the second on with the difference to the first."""
    start = values[0]
    differences = [value - start if value is not None and start is not None else None for value in values]
    written = format_column([*values, *differences])
    cells = written[:1]
    for text, difference, change in zip(
        written[1 : len(values)], differences[1:], written[len(values) + 1 :], strict=True
    ):
        sign = "+" if difference is not None and difference > 0 else ""
        cells.append(text if difference is None else f"{text} ({sign}{change})")
    return cells
