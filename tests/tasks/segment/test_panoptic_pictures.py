"""Pictures of segments: classes can be told by colour, things of one class from each other."""

import numpy as np
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import crowd_code, thing_code
from fastitpn.tasks.segment.panoptic_pictures import segment_colors, segment_overlay

COLORS = [(200, 30, 30), (30, 60, 200)]


def test_shades_of_a_class():
    codes = [1, *(thing_code(0, number) for number in range(1, 6)), IGNORE]
    colors = segment_colors(codes, COLORS)
    assert colors[0] == COLORS[1]
    assert colors[1] == COLORS[0]
    assert len(set(colors[1:6])) == 5
    assert all(red > blue for red, _, blue in colors[1:6])


def test_over_an_image():
    codes = np.full((8, 12), IGNORE, np.int32)
    codes[:, 4:8], codes[:, 8:10], codes[:, 10:] = thing_code(0, 1), thing_code(0, 2), crowd_code(0)
    picture = np.asarray(segment_overlay(Image.new("RGB", (12, 8), (90, 90, 90)), codes, COLORS, opacity=1))
    assert (picture[:, :4] == 90).all()
    assert (picture[:, 10:] == 90).all()
    assert (picture[:, 4:8] == COLORS[0]).all()
    assert (picture[:, 8] != COLORS[0]).any()
    clear = np.asarray(segment_overlay(Image.new("RGB", (12, 8), (90, 90, 90)), codes, COLORS, clear=(0,)))
    assert (clear == 90).all()
    nothing = np.full((8, 12), IGNORE, np.int32)
    assert (np.asarray(segment_overlay(Image.new("RGB", (12, 8)), nothing, COLORS)) == 0).all()


def test_more_segments_than_labels():
    codes = np.arange(1, 401, dtype=np.int32).reshape(20, 20) * 256
    assert segment_overlay(Image.new("RGB", (20, 20)), codes, COLORS).size == (20, 20)
