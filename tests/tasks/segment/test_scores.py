"""Figures equal those by hand, and those of torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.tasks.segment.scores import class_iou, pixel_confusion, segmentation_scores


def test_by_hand():
    labels = torch.tensor([[0, 0, 1, 1], [1, 2, IGNORE, IGNORE]], dtype=torch.uint8)
    predicted = torch.tensor([[0, 1, 1, 1], [0, 2, 2, 0]], dtype=torch.uint8)
    matrix = pixel_confusion(predicted, labels, 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    ious = class_iou(matrix).tolist()
    assert ious[:3] == pytest.approx([1 / 3, 2 / 4, 1 / 1])
    assert np.isnan(ious[3])  # neither there nor predicted
    figures = segmentation_scores(matrix)
    assert figures["miou"] == pytest.approx(100 * (1 / 3 + 1 / 2 + 1) / 3)
    assert figures["mean_accuracy"] == pytest.approx(100 * (1 / 2 + 2 / 3 + 1) / 3)
    assert figures["pixel_accuracy"] == pytest.approx(100 * 4 / 6)


def test_a_class_that_is_only_predicted_counts_with_zero():
    matrix = pixel_confusion(torch.tensor([0, 1]), torch.tensor([0, 0]), 2)
    assert segmentation_scores(matrix)["miou"] == pytest.approx(25)


def test_equals_torchmetrics_and_a_loop_over_pixels():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 7, (3, 40, 50), generator=generator)
    predicted = torch.where(torch.rand(labels.shape, generator=generator) < 0.6, labels, labels.flip(0))
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = IGNORE
    matrix = sum(
        pixel_confusion(p.to(torch.uint8), t.to(torch.uint8), 7) for p, t in zip(predicted, labels, strict=True)
    )
    by_hand = np.zeros((7, 7), int)
    for p, t in zip(predicted.ravel().tolist(), labels.ravel().tolist(), strict=True):
        if t != IGNORE:
            by_hand[t, p] += 1
    assert matrix.tolist() == by_hand.tolist()
    metric = MulticlassJaccardIndex(7, ignore_index=IGNORE, average="none")
    metric.update(predicted, labels)
    assert class_iou(matrix).tolist() == pytest.approx(metric.compute().tolist(), abs=1e-6)
    mean = MulticlassJaccardIndex(7, ignore_index=IGNORE)
    mean.update(predicted, labels)
    assert segmentation_scores(matrix)["miou"] == pytest.approx(100 * mean.compute().item(), abs=1e-4)
