"""Masks in memory: polygons stay what they are until they are used."""

import pytest

from fastitpn.data.detection.masks import mask_area, pack_mask, store_mask
from fastitpn.data.detection.stored_masks import run_lengths

TRIANGLE = [2.1, 1, 17.35, 3.3, 5, 11.9]
SQUARE = [20, 10, 25, 10, 25, 15, 20, 15]


@pytest.mark.parametrize(
    "segmentation",
    [
        [TRIANGLE],
        [TRIANGLE, SQUARE],
        [TRIANGLE, [1, 2]],
        [["2.1", "1", "17.35", "3.3", "5", "11.9"]],
        {"size": [20, 30], "counts": [50, 5, 545]},
    ],
)
def test_run_lengths_are_made_when_they_are_used(segmentation):
    stored = store_mask(segmentation, 20, 30)
    packed = pack_mask(segmentation, 20, 30)
    assert run_lengths(stored, 20, 30) == packed
    assert run_lengths(packed, 20, 30) == packed
    assert mask_area(stored, 20, 30) == mask_area(packed, 20, 30) > 0


@pytest.mark.parametrize(
    ("polygon", "what"),
    [
        ([0, 0, float("nan"), 5, 5, 5], "x from nan to nan, the image from 0 to 30"),
        ([float("nan"), 0, 3, 5, 5, 5], "x from nan to nan, the image from 0 to 30"),
        ([0, 0, 3, 5, 5, 21.5], "y from 0 to 21.5, the image from 0 to 20"),
        ([0, 0, 31.5, 5, 5, 5], "x from 0 to 31.5, the image from 0 to 30"),
        ([0, -1.5, 3, 5, 5, 5], "y from -1.5 to 5, the image from 0 to 20"),
        ([0, 0, 3, 5, 5, 5, 5], "7 numbers, not x and y of three corners or more"),
        ([0, 0, True, 5, 5, 5], "not a list of polygons"),
    ],
)
def test_a_wrong_polygon_is_named_while_it_is_read(polygon, what):
    with pytest.raises(ValueError, match=what):
        store_mask([polygon], 20, 30)
