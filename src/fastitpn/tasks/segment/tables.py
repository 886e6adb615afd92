"""Tables of metrics by class: of pixels and of segments."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastitpn.reporting.sections import Table


def panoptic_table(scores: ArrayLike, matches: ArrayLike, class_names: Sequence[str], counted: Sequence[bool]) -> Table:
    """One row per class, the worst first.

    Args:
        scores: [classes, 3] PQ, SQ and RQ in [0, 1]; nan for a class that is neither there nor found.
        matches: [classes, 4] sum of IoU, matches, misses and false alarms.
        class_names: Names of the classes, one per row.
        counted: Whether each class is one of things, by label.

    Returns:
        Columns: class, kind, segments, PQ, SQ, RQ, missed, false alarms.
    """
    rows: list[tuple[object, ...]] = []
    for name, is_thing, qualities, counts in zip(
        class_names, counted, np.asarray(scores), np.asarray(matches), strict=True
    ):
        _, hits, missed, wrong = (int(number) for number in counts)
        there = [None if np.isnan(quality) else float(quality) for quality in qualities]
        rows.append((name, "thing" if is_thing else "stuff", hits + missed, *there, missed, wrong))
    rows.sort(key=lambda row: (row[3] is None, row[3] or 0.0))
    columns = ("class", "kind", "segments", "PQ", "SQ", "RQ", "missed", "false alarms")
    return Table("Panoptic quality by class", columns, rows, bars=("PQ",))


def iou_table(matrix: ArrayLike, class_names: Sequence[str], title: str = "IoU by class") -> Table:
    """One row per class, the worst first.

    Args:
        matrix: [classes, classes] counts of pixels, row = true class, column = predicted class.
        class_names: Names of the classes, one per row.
        title: Heading of the table.

    Returns:
        Columns: class, pixels (share of all), IoU, accuracy (share of its pixels found), most often predicted as. None
        where there is nothing to divide by.

    Raises:
        ValueError: The matrix does not fit the names.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    if counts.shape != (len(class_names),) * 2:
        raise ValueError(f"confusion matrix of shape {counts.shape} for {len(class_names)} class names")
    wrong = counts - np.diag(np.diag(counts))
    total = max(1, int(counts.sum()))
    rows: list[tuple[object, ...]] = []
    for i, name in enumerate(class_names):
        hits, pixels, either = int(counts[i, i]), int(counts[i].sum()), int(counts[i].sum() + wrong[:, i].sum())
        rival = int(wrong[i].argmax())
        share = wrong[i, rival] / pixels if pixels else 0
        rows.append(
            (
                name,
                pixels / total,
                hits / either if either else None,
                hits / pixels if pixels else None,
                f"{class_names[rival]} ({share:.0%})" if share >= 0.005 else None,
            )
        )
    rows.sort(key=lambda row: (row[2] is None, row[2]))
    columns = ("class", "pixels", "IoU", "accuracy", "most often predicted as")
    return Table(title, columns, rows, bars=("IoU", "accuracy"))
