"""Pictures of detections: legible on any background, right in place."""

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_masks
from PIL import Image

from fastitpn.data.segmentation.classes import distinct_colors
from fastitpn.tasks.detect.pictures import DrawnInstance, draw_instances, relative_luminance, text_color

COLORS = distinct_colors([str(number) for number in range(80)])
BACKGROUNDS = [(0, 0, 0), (255, 255, 255), (128, 128, 128), *COLORS[:10]]


def contrast(one, other) -> float:
    """As WCAG 2 defines it, from 1 to 21."""
    light, dark = sorted((relative_luminance(one), relative_luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def ellipse(height=60, width=80, box=(20, 10, 60, 50)):
    y, x = np.mgrid[:height, :width]
    left, top, right, bottom = box
    across, down = (x + 0.5 - (left + right) / 2) / (right - left), (y + 0.5 - (top + bottom) / 2) / (bottom - top)
    return coco_masks.encode(np.asfortranarray((across**2 + down**2 < 0.25).astype(np.uint8)))


def test_names_can_be_read_on_the_colour_of_any_class():
    assert text_color((255, 255, 255)) == (0, 0, 0)
    assert text_color((0, 0, 0)) == (255, 255, 255)
    assert min(contrast(color, text_color(color)) for color in COLORS) > 4.5  # what WCAG asks for


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("color", COLORS[:4])
def test_a_box_stands_out_from_any_background(background, color):
    image = Image.new("RGB", (400, 300), background)
    picture = np.asarray(draw_instances(image, [DrawnInstance((100, 100, 300, 200), "", color)], px=400))
    across = {tuple(pixel) for pixel in picture[150, 90:110].tolist()}
    assert max(contrast(pixel, background) for pixel in across) > 4.5
    assert color in across


def test_a_mask_is_drawn_where_it_is_and_nowhere_else():
    image = Image.new("RGB", (80, 60), (250, 250, 250))
    instance = DrawnInstance((20, 10, 60, 50), "", (200, 0, 0), ellipse())
    picture = np.asarray(draw_instances(image, [instance], px=80, opacity=0.5))
    assert picture[30, 40].tolist() == [225, 125, 125]
    assert picture[14, 24].tolist() == [250, 250, 250]  # in the box, but not in the mask
    assert picture[30, 78].tolist() == [250, 250, 250]


def test_small_images_are_enlarged_and_large_ones_reduced():
    instance = DrawnInstance((1, 1, 9, 9), "cat 0.93", (200, 0, 0))
    assert draw_instances(Image.new("RGB", (20, 10)), [instance]).size == (480, 240)
    assert draw_instances(Image.new("RGB", (1000, 500)), [instance]).size == (1000, 500)
    assert draw_instances(Image.new("RGB", (9000, 4500)), [instance]).size == (2048, 1024)
    assert draw_instances(Image.new("RGB", (1000, 500)), [instance], px=100).size == (100, 50)


def test_names_stay_inside_and_apart():
    """Two objects in a corner, at the same place: white and black letters on two tags of full colour."""
    instances = [DrawnInstance((0, 0, 50, 30), "first", COLORS[0]), DrawnInstance((2, 0, 52, 30), "second", COLORS[1])]
    picture = np.asarray(draw_instances(Image.new("RGB", (480, 300), (90, 90, 90)), instances, px=480))
    for color in COLORS[:2]:
        filled = (picture == color).all(-1)
        assert (filled.sum(1) >= 10).sum() >= 12  # rows of its tag


def test_no_name_can_break_the_picture():
    odd = [
        DrawnInstance((-5, -5, 900, 900), "\x1b[31m" + "x" * 500, COLORS[0]),
        DrawnInstance((7, 7, 7, 7), "", COLORS[1]),
    ]
    nothing = coco_masks.encode(np.zeros((60, 80), np.uint8, order="F"))
    picture = draw_instances(Image.new("RGB", (80, 60)), [*odd, DrawnInstance((1, 1, 2, 2), "名", COLORS[2], nothing)])
    assert picture.size == (480, 360)
    assert draw_instances(Image.new("RGB", (500, 500), "red"), []).getpixel((0, 0)) == (255, 0, 0)
