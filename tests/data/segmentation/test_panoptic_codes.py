"""Codes of segments, and the ids and colours of COCO's PNGs."""

import numpy as np
import pytest

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import (
    LABEL_BITS,
    Segment,
    codes_of_ids,
    colors_of_ids,
    crowd_code,
    ids_of_codes,
    ids_of_colors,
    thing_code,
)


@pytest.mark.parametrize(
    ("color", "number"), [((0, 0, 0), 0), ((7, 0, 0), 7), ((1, 2, 3), 1 + 2 * 256 + 3 * 65536), ((255,) * 3, 2**24 - 1)]
)
def test_ids_and_colours(color, number):
    pixels = np.array([[color]], dtype=np.uint8)
    assert ids_of_colors(pixels).tolist() == [[number]]
    assert np.array_equal(colors_of_ids(np.array([[number]], dtype=np.int32)), pixels)


def test_codes_to_ids_and_back():
    things = [Segment(code=code, score=1.0, area=1) for code in (thing_code(3, 2), 4, thing_code(3, 1))]
    codes = np.array([[3 + 256, 3 + 512, 4], [IGNORE, 4, IGNORE]], dtype=np.int32)
    ids = ids_of_codes(codes, things)
    assert ids.tolist() == [[3, 1, 2], [0, 2, 0]]
    assert np.array_equal(codes_of_ids(ids, things), codes)
    assert [(one.label, one.number) for one in things] == [(3, 2), (4, 0), (3, 1)]


def test_a_crowd_is_of_no_class():
    codes = [crowd_code(label) for label in (0, 1, 254)]
    assert [code & LABEL_BITS for code in codes] == [IGNORE] * 3
    assert len({*codes, IGNORE}) == 4
