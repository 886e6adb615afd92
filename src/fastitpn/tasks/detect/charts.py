"""Charts of a detector: precision over recall, F1 over the score, and what is taken for what."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastitpn.reporting.measure_charts import confusion_chart, curves_chart
from fastitpn.reporting.sections import Chart, Table
from fastitpn.tasks.detect.scores import CocoScores
from fastitpn.tasks.detect.thresholds import BACKGROUND, GRID, Thresholds, best_of, confusion

_STEP = 10
"""Scores of `GRID` from one row of the CSV file to the next."""


def threshold_table(thresholds: Thresholds) -> Table:
    """The best score of all classes together, and of each one, with what is reached there."""
    best = thresholds.best
    place = int(np.abs(GRID - best).argmin())
    there = thresholds.objects > 0
    means = [part[there, place].mean() if there.any() else None for part in _parts(thresholds)]
    rows: list[tuple[object, ...]] = [("mean of the classes", int(thresholds.objects.sum()), best, *means)]
    for number, name in enumerate(thresholds.classes):
        if not there[number]:
            rows.append((name, 0, None, None, None, None))
            continue
        score = best_of(thresholds.f1[number])
        at = int(np.abs(GRID - score).argmin())
        rows.append((name, int(thresholds.objects[number]), score, *(part[number, at] for part in _parts(thresholds))))
    return Table(
        "Best thresholds",
        ("class", "objects", "min_score", "F1", "precision", "recall"),
        [tuple(cell.item() if isinstance(cell, np.generic) else cell for cell in row) for row in rows],
        "Boxes at an overlap of 0.5. The first row is one min_score for all classes; the others suit a class alone.",
        bars=("F1",),
    )


def detection_charts(scores: CocoScores, thresholds: Thresholds, ap50: Mapping[str, float]) -> list[Chart]:
    """All three, of boxes at an overlap of 0.5.

    Args:
        scores: Annotations and detections.
        thresholds: What was counted at each score.
        ap50: Class -> AP50 of boxes in percent, for the classes that have objects.
    """
    order = sorted(ap50, key=lambda name: ap50[name])
    curves, recalls = scores.precision_recall(), np.linspace(0, 1, 101)
    points = [
        (name, *values)
        for name in order
        for values in zip(recalls.tolist(), curves[name][0].tolist(), curves[name][1].tolist(), strict=True)
    ]
    mean: NDArray[np.float64] = np.mean([curves[name][0] for name in order] or [np.zeros(101)], axis=0)
    best, lines = thresholds.best, dict(zip(thresholds.classes, thresholds.f1, strict=True))
    kept = slice(None, None, _STEP)
    shares = [
        (name, *values)
        for number, name in enumerate(thresholds.classes)
        if thresholds.objects[number]
        for values in zip(
            GRID[kept].tolist(), *(part[number, kept].tolist() for part in _parts(thresholds)), strict=True
        )
    ]
    words = "A curve for each class; those of the lowest AP50 have a colour."
    return [
        curves_chart(
            "Precision and recall",
            "precision_recall",
            {f"{name} {ap50[name]:.0f}": (recalls, curves[name][0]) for name in order},
            ("recall", "precision"),
            mean=(recalls, mean),
            numbers=Table("Precision and recall", ("class", "recall", "precision", "score"), points),
            caption=f"Boxes at an overlap of 0.5, by COCO's tools. {words}",
        ),
        curves_chart(
            "F1 by least score",
            "f1_by_score",
            {name: (GRID, lines[name]) for name in order},
            ("min_score", "F1"),
            mean=(GRID, thresholds.mean_f1),
            mark=best,
            numbers=Table("F1", ("class", "min_score", "F1", "precision", "recall"), shares),
            caption=f"The mean is highest at min_score={best:g}, which the dashed line marks. {words}",
        ),
        confusion_chart(
            confusion(scores.truth, scores.results(), scores.classes, best),
            [*scores.classes.names, BACKGROUND],
            f"Boxes with a score from {best:g} on, at an overlap of 0.5. Rows are the true classes, columns the "
            "predicted ones; the last column are objects that were missed, the last row detections of nothing.",
        ),
    ]


def _parts(thresholds: Thresholds) -> tuple[NDArray[np.float64], ...]:
    return thresholds.f1, thresholds.precision, thresholds.recall
