"""Pictures of label maps."""

import numpy as np
import pytest
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.reporting.overlays import index_image, overlay, side_by_side, with_legend

COLORS = ((200, 0, 0), (0, 200, 0))


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((8, 10), np.uint8)
    labels[:, 5:] = 1
    labels[:2] = IGNORE
    return labels


def test_an_index_image_holds_labels_and_colours(labels, tmp_path):
    index_image(labels, COLORS).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), labels)
        shown = np.asarray(image.convert("RGB"))
    assert (tuple(shown[5, 2]), tuple(shown[5, 8]), tuple(shown[0, 0])) == (*COLORS, (255, 255, 255))


def test_an_overlay_mixes_colours_and_draws_edges(labels):
    image = Image.new("RGB", (10, 8), (100, 100, 100))
    pixels = np.asarray(overlay(image, labels, COLORS, opacity=0.5))
    assert tuple(pixels[5, 2]) == (150, 50, 50)
    assert tuple(pixels[5, 8]) == (50, 150, 50)
    assert tuple(pixels[5, 4]) == COLORS[0]  # beside another class
    assert tuple(pixels[5, 5]) == COLORS[1]
    assert tuple(pixels[0, 0]) == (100, 100, 100)  # left out


def test_a_background_stays_a_photograph_and_regions_have_outlines_as_wide_as_the_picture_asks_for():
    labels = np.zeros((1000, 1000), np.uint8)
    labels[300:600, 300:600] = 1
    image = Image.new("RGB", (1000, 1000), (100, 100, 100))
    pixels = np.asarray(overlay(image, labels, COLORS, opacity=0.5, clear=(0,)))
    assert (pixels[labels == 0] == 100).all()
    assert (pixels[301, 300:600] == COLORS[1]).all()  # the outline, in the legend's colour
    assert (pixels[302:598, 302:598] == (50, 150, 50)).all()
    legend = np.asarray(with_legend(image, [(None, "background"), (COLORS[1], "a")]))[1000:]
    assert (legend == COLORS[1]).all(-1).sum() > 100
    assert not (legend == COLORS[0]).all(-1).any()


def test_a_legend_names_what_is_there():
    picture = Image.new("RGB", (300, 100))
    few = with_legend(picture, [(COLORS[0], "a"), (COLORS[1], "b" * 80)])
    assert few.width == 300
    assert few.height > 100
    assert few.getpixel((12, 100 + 4 + 19 // 6 + 4)) == COLORS[0]
    many = with_legend(picture, [(COLORS[0], f"class {number}") for number in range(60)])
    assert many.height > few.height
    assert with_legend(Image.new("RGB", (20, 10)), [(COLORS[0], "a")]).width == 240
    assert with_legend(picture, []).size == picture.size


def test_side_by_side():
    row = side_by_side([Image.new("RGB", (20, 10))] * 3, px=50)
    assert row.size == (304, 50)
