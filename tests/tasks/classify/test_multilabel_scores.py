"""Average precision, F1 and thresholds, beside plain loops over the images."""

import math

import pytest
import torch
import torch.nn.functional as F
from torchmetrics.functional.classification import binary_precision_recall_curve

from fastitpn.tasks.classify.multilabel_scores import (
    average_precision,
    best_thresholds,
    choice_scores,
    multilabel_scores,
    precision_recall,
)


@pytest.fixture(params=[0, 1, 2])
def scored(request):
    """Scores with ties, and labels; nobody has the last one."""
    generator = torch.Generator().manual_seed(request.param)
    scores = torch.randint(1, 12, (30, 5), generator=generator) / 12
    truth = (torch.rand(30, 5, generator=generator) < torch.tensor([0.5, 0.2, 0.05, 1, 0])).float()
    truth[0, :3] = 1
    return scores, truth


def f1_of(scores, truth, threshold):
    chosen = scores >= threshold
    return 2 * (chosen & (truth > 0)).sum().item() / (chosen.sum() + truth.sum()).item()


def test_average_precision_is_the_sum_over_the_distinct_scores(scored):
    scores, truth = scored
    for column, value in enumerate(average_precision(scores, truth).tolist()):
        area, recall = 0.0, 0.0
        for threshold in sorted(set(scores[:, column].tolist()), reverse=True):
            chosen = scores[:, column] >= threshold
            hits = truth[chosen, column].sum().item()
            now = hits / truth[:, column].sum().item() if truth[:, column].any() else math.nan
            area, recall = area + (now - recall) * hits / chosen.sum().item(), now
        assert value == pytest.approx(area, nan_ok=True)


def test_no_threshold_has_a_higher_f1(scored):
    scores, truth = scored
    thresholds = best_thresholds(scores, truth)
    assert thresholds[-1] == 0.5
    _, _, f1 = choice_scores(scores >= thresholds, truth)
    for column in range(4):
        reached = f1_of(scores[:, column], truth[:, column], thresholds[column])
        assert f1[column] == pytest.approx(reached)
        assert reached == pytest.approx(max(f1_of(scores[:, column], truth[:, column], t / 24) for t in range(25)))


def test_by_hand():
    scores = torch.tensor([[0.9, 0.2], [0.8, 0.6], [0.3, 0.4], [0.1, 0.8]])
    truth = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert average_precision(scores, truth)[0] == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(scores, truth)[1].isnan()
    assert best_thresholds(scores, truth).tolist() == pytest.approx([0.2, 0.5])
    precision, recall, f1 = choice_scores(scores >= 0.5, truth)
    assert precision.tolist() == [0.5, 0]
    assert (recall[0], f1[0]) == (0.5, 0.5)
    assert recall[1].isnan()
    assert f1[1].isnan()
    logits = scores.logit()
    measured = multilabel_scores(logits, truth, torch.tensor([0.5, 0.5], dtype=torch.float64))
    loss = F.binary_cross_entropy(scores, truth).item()
    assert measured == pytest.approx({"loss": loss, "map": 100 * 5 / 6, "f1": 50}, rel=1e-5)


def test_curves_by_hand():
    scores, truth = torch.tensor([[0.9], [0.5], [0.5], [0.1]]), torch.tensor([[1], [0], [1], [0]])
    [(at, recall, precision)] = precision_recall(scores, truth)
    assert at.tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert recall.tolist() == [0.5, 1.0, 1.0]
    assert precision.tolist() == pytest.approx([1.0, 2 / 3, 0.5])


def test_curves_are_those_of_torchmetrics():
    generator = torch.Generator().manual_seed(3)
    scores = torch.randint(20, (60, 3), generator=generator) / 20
    truth = torch.randint(2, (60, 3), generator=generator)
    for place, (at, recall, precision) in enumerate(precision_recall(scores, truth)):
        theirs = binary_precision_recall_curve(scores[:, place], truth[:, place])
        assert precision.tolist() == pytest.approx(theirs[0][:-1].flip(0).tolist())
        assert recall.tolist() == pytest.approx(theirs[1][:-1].flip(0).tolist())
        assert at.tolist() == pytest.approx(theirs[2].flip(0).tolist())
