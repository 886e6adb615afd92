"""`fastitpn report compare`: one page on which runs stand side by side."""

from collections.abc import Sequence
from pathlib import Path

from fastitpn.config import to_yaml
from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.reporting.compare import RunRecord, comparison_sections, figures_table, metric_of, settings_table
from fastitpn.reporting.config import CompareConfig
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import Value, is_number
from fastitpn.runs.output import check_no_run
from fastitpn.runs.run import Run
from fastitpn.tasks.registry import TASKS
from fastitpn.training.metric import Metric

REPORT = "report.html"
_ON_TOP = 4
"""Figures of the best kind on top of the page."""


def run_compare(config: CompareConfig) -> Path:
    """Print figures and differing settings of runs, and write `report.html` to `out`.

    Returns:
        The page.

    Raises:
        InputError: A folder is no run, is given twice, or `out` is one of them.
    """
    check_no_run(config.out, "compare")
    runs = [Run(path.expanduser()) for path in config.runs]
    _check_different(runs)
    labels = config.names or _labels([run.directory for run in runs])
    records = [
        RunRecord(
            label=label,
            verb=run.verb,
            complete=run.complete,
            config=run.config,
            metrics=run.metrics,
            history=run.history,
            known=_known(run),
        )
        for label, run in zip(labels, runs, strict=True)
    ]
    print_table(figures_table(records))
    print_table(settings_table(records))
    report = write_report(
        config.out / REPORT,
        title="Runs side by side",
        subtitle=", ".join(labels),
        summary=_summary(records),
        sections=[
            *comparison_sections(records),
            Code("Configuration", to_yaml(config)),
            Facts("Environment of the comparison", describe_environment()),
        ],
    )
    say(f"written: {report}")
    return report


def _summary(records: Sequence[RunRecord]) -> list[tuple[str, Value, str]]:
    """The best figure of each run, the same one if all have it; of a run without one its last loss."""
    figures: list[tuple[str, Value, str]] = []
    for record in records[:_ON_TOP]:
        best = [name for name in record.metrics if name.startswith("best_") and name != "best_step"]
        best.sort(key=lambda name: not all(is_number(other.metrics.get(name)) for other in records))
        name = next((name for name in (*best, "train_loss") if is_number(record.metrics.get(name))), None)
        if name is not None:
            title = metric_of(name.removeprefix("best_"), records).title
            figures.append(
                (record.label, record.metrics[name], f"{'best ' * (name in best)}{title[:1].lower()}{title[1:]}")
            )
    return figures


def _known(run: Run) -> Sequence[Metric]:
    """The metrics of a run's task, of every form that it has."""
    task = run.verb.split()[-1] if run.verb else ""
    return TASKS.spec(task).all_metrics if task in TASKS else ()


def _check_different(runs: Sequence[Run]) -> None:
    seen: set[Path] = set()
    for run in runs:
        place = run.directory.resolve()
        if place in seen:
            raise InputError("this run is given twice", where=run.directory, expected="different runs")
        seen.add(place)


def _labels(folders: Sequence[Path]) -> tuple[str, ...]:
    """The shortest ends of the paths that tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        labels = tuple("/".join(part[-length:]) for part in parts)
        if len(set(labels)) == len(labels):
            return labels
    raise AssertionError("folders that differ have names that differ")
