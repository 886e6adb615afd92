"""Tables by class."""

import numpy as np
import pytest

from fastitpn.tasks.segment.tables import iou_table, panoptic_table


def test_iou_begins_with_the_worst():
    table = iou_table([[6, 2, 0], [1, 1, 0], [0, 0, 0]], ["sky", "cat", "dog"])
    assert table.columns == ("class", "pixels", "IoU", "accuracy", "most often predicted as")
    assert [row[0] for row in table.rows] == ["cat", "sky", "dog"]
    assert table.rows[0][1:] == (0.2, 1 / 4, 1 / 2, "sky (50%)")
    assert table.rows[1][1:] == (0.8, 6 / 9, 6 / 8, "cat (25%)")
    assert table.rows[2][1:] == (0.0, None, None, None)
    with pytest.raises(ValueError, match="confusion matrix of shape"):
        iou_table([[1]], ["a", "b"])


def test_panoptic_quality_begins_with_the_worst():
    matches = np.array([[0.8, 1, 1, 0], [0, 0, 0, 0], [0.5, 1, 2, 3]])
    scores = np.array([[0.8, 0.8, 1.0], [np.nan] * 3, [0.2, 0.5, 0.4]])
    table = panoptic_table(scores, matches, ("cat", "dog", "sky"), (True, True, False))
    assert [row[:3] for row in table.rows] == [("sky", "stuff", 3), ("cat", "thing", 2), ("dog", "thing", 0)]
    assert table.rows[0][3:] == (0.2, 0.5, 0.4, 2, 3)
    assert table.rows[2][3:] == (None, None, None, 0, 0)
