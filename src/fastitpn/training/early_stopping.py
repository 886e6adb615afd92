"""Early stopping: when validations in a row brought no better value."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastitpn.errors import InputError
from fastitpn.training.metric import Metric


def validations_without_better(rows: Iterable[Mapping[str, Any]], metric: Metric) -> int:
    """Validations since the best value; an equal value is no better one, and nan never is.

    Args:
        rows: Of `metrics.jsonl`, in their order, which hold all that a resumed run needs to count on.
        metric: Chooses the best checkpoint.
    """
    best: float | None = None
    count = 0
    for row in rows:
        if row["split"] != "val" or metric.name not in row:
            continue
        value = row[metric.name]
        if value is not None and (best is None or (metric.as_good(value, best) and value != best)):
            best, count = value, 0
        else:
            count += 1
    return count


def check_patience(patience: int | None, *, steps: int, validate_every: int, eval_every_epochs: float) -> str | None:
    """Makes sure that a run has validations to be patient with.

    Args:
        patience: The key; None for none.
        steps: Steps of the whole run.
        validate_every: Steps from one validation to the next.
        eval_every_epochs: The key that says so.

    Returns:
        A line that says so if they are too few for the run ever to end early.

    Raises:
        InputError: The only validation is the one at the end.
    """
    if patience is None:
        return None
    if validate_every >= steps:
        raise InputError(
            f"patience={patience}, but the only validation of the run is at its end",
            where=f"eval_every_epochs={eval_every_epochs:g}, {steps} steps in all",
            expected="validations while it trains",
            fix=f"eval_every_epochs={max(1e-3, eval_every_epochs * steps / validate_every / (patience + 2)):.2g}",
        )
    validations = -(-steps // validate_every)
    if patience + 1 < validations:
        return None
    sooner = f"patience={validations // 3}, or " if validations > 2 else ""
    return (
        f"patience={patience} ends no run of {validations} validations early: the first has nothing to improve on "
        f"and the last is the end: {sooner}a smaller eval_every_epochs would"
    )
