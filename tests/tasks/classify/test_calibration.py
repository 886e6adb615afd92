"""Calibration, by hand and against torchmetrics."""

import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from fastitpn.reporting.measure_charts import calibration_chart
from fastitpn.tasks.classify.calibration import BINS, calibration


def test_by_hand():
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.65, 0.35], [0.25, 0.75]])
    measured = calibration(probabilities, torch.tensor([0, 1, 0, 1]), bins=5)
    assert [row["images"] for row in measured.bins] == [0, 0, 0, 2, 2]  # 0.65 and 0.75 | 0.9 twice
    assert measured.bins[3]["confidence"] == pytest.approx(0.7)
    assert (measured.bins[3]["accuracy"], measured.bins[4]["accuracy"]) == (1.0, 0.5)
    assert measured.error == pytest.approx(100 * (2 * 0.3 + 2 * 0.4) / 4)
    assert measured.bins[0]["accuracy"] is None


@pytest.mark.parametrize("classes", [2, 7])
def test_the_error_is_that_of_torchmetrics(classes):
    generator = torch.Generator().manual_seed(classes)
    probabilities = (3 * torch.randn(500, classes, generator=generator)).softmax(1)
    labels = torch.randint(classes, (500,), generator=generator)
    theirs = multiclass_calibration_error(probabilities, labels, num_classes=classes, n_bins=BINS, norm="l1")
    assert calibration(probabilities, labels).error == pytest.approx(100 * theirs.item(), abs=1e-4)


def test_the_chart_holds_the_bins():
    measured = calibration(torch.tensor([[0.9, 0.1]]), torch.tensor([0]))
    chart = calibration_chart(measured.bins, "words")
    assert chart.numbers.columns == ("low", "high", "images", "confidence", "accuracy")
    assert [row[2] for row in chart.numbers.rows] == [0] * 13 + [1, 0]
    assert chart.draw().axes[0].get_ylabel() == "accuracy"
