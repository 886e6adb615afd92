"""F1 by the least score, the best score and what is taken for what, by hand and against COCO's tools."""

import numpy as np
import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.tasks.detect.charts import detection_charts, threshold_table
from fastitpn.tasks.detect.scores import CocoScores
from fastitpn.tasks.detect.thresholds import GRID, best_of, by_threshold, confusion

CLASSES = DetectionClasses(names=("cat", "dog", "owl"), ids=(3, 7, 9))
BOX, FAR, NEAR = [0.0, 0, 10, 10], [50.0, 50, 60, 60], [0.0, 0, 10, 12]


def scores(*images) -> CocoScores:
    """Of images, each objects (label, box, crowd) and detections (label, box, score)."""
    result = CocoScores(CLASSES)
    for number, (objects, detections) in enumerate(images, 1):
        labels, boxes, crowd = zip(*objects, strict=True) if objects else ((), (), ())
        batch = {
            "image_id": [number],
            "size": [(100, 100)],
            "labels": [torch.tensor(labels, dtype=torch.long)],
            "boxes": [torch.tensor(boxes).reshape(-1, 4)],
            "crowd": [torch.tensor(crowd, dtype=torch.bool)],
            "area": [torch.full((len(labels),), 100.0)],
        }
        found = zip(*detections, strict=True) if detections else ((), (), ())
        kinds, places, sure = found
        result.add(
            batch,
            [
                {
                    "labels": torch.tensor(kinds, dtype=torch.long),
                    "boxes": torch.tensor(places).reshape(-1, 4),
                    "scores": torch.tensor(sure, dtype=torch.float64),
                }
            ],
        )
    return result


def counted(*images):
    collected = scores(*images)
    return collected, by_threshold(collected.truth, collected.results(), CLASSES.names)


FIRST = ([(0, BOX, False), (1, FAR, False)], [(0, NEAR, 0.9), (0, BOX, 0.8), (1, FAR, 0.3)])
"""The surest of two takes the object, and the other one is wrong."""


def test_counts_by_hand():
    _, thresholds = counted(FIRST)
    place = {score: round(1000 * score) for score in (0.2, 0.5, 0.85, 0.95)}
    assert thresholds.objects.tolist() == [1, 1, 0]
    assert [thresholds.detections[0, at] for at in place.values()] == [2, 2, 1, 0]
    assert [thresholds.hits[0, at] for at in place.values()] == [1, 1, 1, 0]
    assert thresholds.f1[0, place[0.5]] == pytest.approx(2 / 3)
    assert thresholds.mean_f1[place[0.2]] == pytest.approx((2 / 3 + 1) / 2)
    assert thresholds.mean_f1[place[0.85]] == pytest.approx(0.5)
    assert np.isnan(thresholds.f1[2]).all()
    assert thresholds.best == 0.15  # the middle of 0 to 0.3


@pytest.mark.parametrize(
    ("f1", "best"),
    [(np.where(GRID <= 0.5, 1.0, 0.0), 0.25), (np.where(np.isclose(GRID, 0.7), 1.0, 0.5), 0.7), (np.zeros(1001), 0.5)],
    ids=["half", "point", "nothing"],
)
def test_the_best_score_is_the_middle_of_equals(f1, best):
    assert best_of(f1) == best


def test_confusion_by_hand():
    objects = [(0, BOX, False), (1, FAR, False), (2, [80.0, 0, 90, 10], False)]
    detections = [(1, BOX, 0.9), (1, FAR, 0.8), (0, [0.0, 50, 10, 60], 0.7), (2, [80.0, 0, 90, 10], 0.1)]
    collected = scores((objects, detections))
    matrix = confusion(collected.truth, collected.results(), CLASSES, 0.5)
    assert matrix.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]


def test_what_is_inside_of_a_crowd_does_not_count():
    crowd = ([(0, [0.0, 0, 50, 50], True)], [(0, BOX, 0.9), (1, FAR, 0.6)])
    collected, thresholds = counted(crowd)
    assert thresholds.objects.tolist() == [0, 0, 0]
    assert thresholds.detections[:, 0].tolist() == [0, 1, 0]
    matrix = confusion(collected.truth, collected.results(), CLASSES, 0.0)
    assert matrix.sum() == matrix[3, 1] == 1


def random_images(count: int = 12):
    rng = np.random.default_rng(0)
    drawn = list(0.0005 + rng.permutation(1000)[: 10 * count].reshape(count, 10) / 1000)  # each between two of the grid
    images = []
    for _ in range(count):
        corners = rng.uniform(0, 60, (5, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 30, (5, 2))], 1)
        labels = rng.integers(0, 3, 5)
        moved = np.concatenate([boxes + rng.normal(0, 2, boxes.shape), boxes + rng.normal(0, 12, boxes.shape)])
        others = np.where(rng.random(10) < 0.8, np.tile(labels, 2), rng.integers(0, 3, 10))
        objects = [(int(label), box.tolist(), False) for label, box in zip(labels, boxes, strict=True)]
        sure = drawn.pop()
        images.append((objects, [(int(k), b.tolist(), float(s)) for k, b, s in zip(others, moved, sure, strict=True)]))
    return images


def test_counts_are_those_of_cocos_tools():
    collected, thresholds = counted(*random_images())
    truth = COCO(collected.truth)
    tool = COCOeval_faster(truth, truth.loadRes(collected.results()), "bbox", print_function=lambda *_: None)
    tool.run()
    theirs = tool.extended_metrics
    best = threshold_table(thresholds).rows[0]
    assert best[4] == pytest.approx(theirs["precision"], abs=1e-9)
    assert best[5] == pytest.approx(theirs["recall"], abs=1e-9)
    assert collected.figures()["box_ap50"] == pytest.approx(
        100 * np.mean([precision.mean() for precision, _ in collected.precision_recall().values()])
    )


def test_charts_hold_their_numbers():
    collected, thresholds = counted(*random_images())
    ap50 = {name: row["box_ap50"] for name, row in collected.class_figures().items()}
    curve, f1, matrix = detection_charts(collected, thresholds, ap50)
    assert [chart.name for chart in (curve, f1, matrix)] == ["precision_recall", "f1_by_score", "confusion_matrix"]
    assert len(curve.numbers.rows) == 3 * 101
    assert {row[0] for row in f1.numbers.rows} == {"cat", "dog", "owl"}
    assert f"min_score={thresholds.best:g}" in f1.caption
    assert (
        sum(sum(row[1:-1]) for row in matrix.numbers.rows[:-1]) + sum(row[-1] for row in matrix.numbers.rows) == 5 * 12
    )


def test_without_objects_and_detections():
    collected, thresholds = counted(([], []))
    assert threshold_table(thresholds).rows[0] == ("mean of the classes", 0, 0.5, None, None, None)
    for chart in detection_charts(collected, thresholds, {}):
        chart.draw()
