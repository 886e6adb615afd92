"""The paired interval of a loss."""

import dataclasses

import pytest
from tuning_fakes import ByImage

from fastitpn.tasks.classify.metrics import TOP1
from fastitpn.tasks.evaluation import Evaluation
from fastitpn.tuning.loss import paired_loss

RIGHT = [True] * 80 + [False] * 20
FLIPPED = [True] * 76 + [False] * 24


def test_the_same_answers_lose_nothing_for_sure():
    same = paired_loss(ByImage(RIGHT), ByImage(RIGHT), TOP1, seed=0)
    assert (same.points, same.low, same.high, same.images, same.value) == (0, 0, 0, 100, 80)


@pytest.mark.parametrize("resampled", ["images", "groups"])
def test_the_interval_is_that_of_the_images_that_changed(resampled):
    lost = paired_loss(ByImage(RIGHT, resampled), ByImage(FLIPPED, resampled), TOP1, seed=0)
    assert lost.points == pytest.approx(4)
    # of 100 images 4 changed: the standard error is 100 * sqrt(0.04 * 0.96 / 100), 1.96 points; 90 % is 1.64 of it
    assert lost.low == pytest.approx(4 - 1.645 * 1.96, abs=1)
    assert lost.high == pytest.approx(4 + 1.645 * 1.96, abs=1)
    again = paired_loss(ByImage(RIGHT, resampled), ByImage(FLIPPED, resampled), TOP1, seed=0)
    assert again == lost


def test_less_is_better_for_some_metrics():
    error = dataclasses.replace(TOP1, higher_is_better=False)
    assert paired_loss(ByImage(FLIPPED), ByImage(RIGHT), error, seed=0).points == pytest.approx(4)


def test_without_single_images_there_is_no_interval():
    plain, other = (Evaluation(metrics={"top1": value}, num_images=9) for value in (80.0, 79.0))
    lost = paired_loss(plain, other, TOP1, seed=0)
    assert (lost.points, lost.low, lost.high) == (1, None, None)
    assert lost.describe(TOP1) == "1.00 points of top-1 on 9 images"
