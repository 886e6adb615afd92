"""Tables of a detector's figures."""

from fastitpn.tasks.detect.tables import ap_table, class_table


def test_a_row_for_boxes_and_one_for_masks():
    metrics = {"box_ap": 40.0, "box_ap50": 60.0, "box_ap75": 42.0, "box_ap_small": 20.0, "box_ar": 50.0}
    table = ap_table(metrics)
    assert table.columns == ("", "AP", "AP50", "AP75", "AP small", "AP medium", "AP large", "AR")
    assert table.rows == [("boxes", 40.0, 60.0, 42.0, 20.0, None, None, 50.0)]
    assert [row[0] for row in ap_table({**metrics, "mask_ap": 30.0}).rows] == ["boxes", "masks"]


def test_classes_worst_first_and_those_that_are_nowhere_last():
    figures = {"cat": {"box_ap": 50.0, "box_ap50": 70.0}, "dog": {"box_ap": 10.0, "box_ap50": 30.0}}
    table = class_table(figures, {"cat": 3, "cow": 0, "dog": 4})
    assert table.columns == ("class", "objects", "box AP", "box AP50")
    assert table.rows == [("dog", 4, 10.0, 30.0), ("cat", 3, 50.0, 70.0), ("cow", 0, None, None)]
