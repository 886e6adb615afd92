"""`folds=N`: a training for each fold, validated on another part of the images, and what they give in all."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastitpn.config.fields import replaced
from fastitpn.console import note, printing
from fastitpn.errors import InputError
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.runs.run import REPORT, Run
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks.keys import FinetuneConfig
from fastitpn.tasks.spec import TaskSpec

LOWEST, HIGHEST = "_lowest", "_highest"


def run_folds(spec: TaskSpec[Any, Any, Any], config: FinetuneConfig, train: Callable[[FinetuneConfig], Run]) -> Run:
    """Train each fold in a folder of its own, `fold-1` and so on, or go on where an earlier command stopped.

    Args:
        spec: The task.
        config: Its keys, with `folds`.
        train: Trains one of the folds, or goes on with it.

    Returns:
        The run of all folds: it has no checkpoint, and its metrics are means, with the lowest and the highest value.

    Raises:
        InputError: A class has fewer images than there are folds, or data has validation images of its own.
    """
    assert config.folds is not None
    configs = [
        replaced(config, fold=number, out=config.out / f"fold-{number}") for number in range(1, config.folds + 1)
    ]
    _check_apart(spec, configs)
    with prepare(config.out, config) as run:
        runs = []
        for number, one_fold in enumerate(configs, start=1):
            note(f"fold {number} of {config.folds}: {one_fold.out}")
            trained = train(one_fold)
            if not trained.complete:  # its time was up
                return Run(config.out)
            runs.append(trained)
        summary = summarise([trained.metrics for trained in runs])
        table = _table(runs, summary)
        print_table(table)
        facts = [(name, summary[name], "mean of the folds") for name in summary if not name.endswith((LOWEST, HIGHEST))]
        title = f"{spec.title}: {config.folds} folds"
        write_report(run.directory / REPORT, title=title, summary=facts, sections=[table])
        run.finish(summary)
        run.say_complete()
    return Run(config.out)


def summarise(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean, lowest and highest value of every metric that all folds have.

    Args:
        metrics: Final metrics of each fold, by name.
    """
    result: dict[str, float] = {}
    for name in metrics[0]:
        values = [fold.get(name) for fold in metrics]
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        if name != "best_step" and len(numbers) == len(metrics):
            result |= {
                name: sum(numbers) / len(numbers),
                f"{name}{LOWEST}": min(numbers),
                f"{name}{HIGHEST}": max(numbers),
            }
    return result


def _table(runs: Sequence[Run], summary: Mapping[str, float]) -> Table:
    names = [name for name in summary if f"{name}{LOWEST}" in summary]
    columns = ("metric", "mean", "lowest", "highest", *(run.directory.name for run in runs))
    rows = [
        (
            name,
            summary[name],
            summary[f"{name}{LOWEST}"],
            summary[f"{name}{HIGHEST}"],
            *(run.metrics[name] for run in runs),
        )
        for name in names
    ]
    return Table("Metrics of the folds", columns, rows)


def _check_apart(spec: TaskSpec[Any, Any, Any], configs: Sequence[FinetuneConfig]) -> None:
    """Make sure that folds are validated on different images."""
    with printing(False):  # each fold says it again
        first, second = (set(spec.image_files(spec.open_data(config).val)) for config in configs[:2])
    if first & second:
        raise InputError(
            f"folds={len(configs)}, but the data has validation images of its own",
            where=configs[0].data,
            expected="one set of labelled images, of which each fold holds out another part",
            fix="data=FOLDER that has all images in one part, or leave folds out",
        )
