import math

import pytest

from fastitpn.errors import InputError
from fastitpn.training.early_stopping import check_patience, validations_without_better
from fastitpn.training.metric import LOSS, Metric

TOP1 = Metric(name="top1", title="Top-1")


@pytest.mark.parametrize(
    ("metric", "values", "count"),
    [
        (TOP1, [], 0),
        (TOP1, [50, 60, 70], 0),
        (TOP1, [50, 70, 60, 70], 2),  # an equal value is no better one
        (TOP1, [50, 70, None, 60], 2),  # nan is written as null
        (TOP1, [None, None], 2),
        (LOSS, [3, 2, 2.5, 1.5], 0),
        (LOSS, [1, 2, 3], 2),
    ],
    ids=["none", "rising", "equal", "nan", "nan-alone", "loss", "loss-rising"],
)
def test_validations_since_the_best(metric, values, count):
    rows = [{"split": "train", "loss": 0.0}, {"split": "skipped"}]
    rows += [{"split": "val", metric.name: value} for value in values]
    assert validations_without_better(rows, metric) == count


def test_patience_needs_validations_while_it_trains():
    check_patience(None, steps=10, validate_every=50, eval_every_epochs=5)
    check_patience(2, steps=10, validate_every=9, eval_every_epochs=5)
    with pytest.raises(InputError, match="patience=2, but the only validation of the run is at its end") as caught:
        check_patience(2, steps=10, validate_every=50, eval_every_epochs=5)
    assert caught.value.fix == "eval_every_epochs=0.25"  # four validations
    assert math.ceil(50 * 0.25 / 5) == 3  # steps from one to the next


@pytest.mark.parametrize(
    ("patience", "every", "says"),
    [(2, 1, None), (8, 1, None), (9, 1, "patience=3, or a smaller"), (2, 9, "early: the first"), (None, 9, None)],
)
def test_patience_that_cannot_end_a_run_says_so(patience, every, says):
    line = check_patience(patience, steps=10, validate_every=every, eval_every_epochs=1)
    assert line is None if says is None else says in line
