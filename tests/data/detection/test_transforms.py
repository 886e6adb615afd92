"""Boxes and masks go with their image, whatever is done to it."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import masks_to_boxes

from fastitpn.data.detection.annotations import Annotations
from fastitpn.data.detection.masks import coco_mask
from fastitpn.data.detection.transforms import DetectEval, DetectTrain, shorter_side_size

NORMAL = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
HEIGHT, WIDTH = 60, 90
BOXES = [(10, 5, 40, 25), (50, 30, 90, 60), (0, 40, 20, 60)]
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


@pytest.fixture(scope="module")
def scene():
    """Three rectangles of pure colours on black: after any transform, pixels, boxes and masks must agree."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    masks = []
    for (left, top, right, bottom), color in zip(BOXES, COLORS, strict=True):
        pixels[top:bottom, left:right] = color
        mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
        mask[top:bottom, left:right] = 1
        masks.append(coco_mask.encode(mask))
    return Image.fromarray(pixels), of(BOXES, masks)


def of(boxes, masks, crowd=None):
    count = len(boxes)
    return Annotations(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.arange(count),
        masks=masks,
        crowd=torch.zeros(count, dtype=torch.bool) if crowd is None else torch.tensor(crowd),
        area=torch.ones(count),
        ids=torch.arange(count),
    )


VIEWS = {
    "larger": DetectTrain(px=(120,), max_px=400, **NORMAL),
    "smaller": DetectTrain(px=(31,), max_px=400, **NORMAL),
    "several": DetectTrain(px=(40, 50, 64), max_px=90, **NORMAL),
    "part": DetectTrain(px=(60, 90), max_px=120, crop=1.0, crop_px=90, **NORMAL),
    "jitter": DetectTrain(square_px=64, **NORMAL),
    "large": DetectTrain(square_px=64, scale_range=(1.5, 3.0), **NORMAL),
    "fitted": DetectTrain(square_px=64, scale_range=(1.0, 1.0), **NORMAL),
}


@pytest.mark.parametrize("view", VIEWS)
def test_pixels_boxes_and_masks_agree(scene, view):
    whole = 0
    for seed in range(30):
        torch.manual_seed(seed)
        sample = VIEWS[view](*scene)
        assert sample["image"].dtype == torch.float32
        assert sample["masks"].dtype == torch.uint8
        assert sample["masks"].shape == (len(sample["labels"]), *sample["image"].shape[1:])
        whole += len(sample["labels"]) == 3
        assert set(sample["masks"].unique().tolist()) <= {0, 1}
        for box, label, mask in zip(sample["boxes"], sample["labels"].tolist(), sample["masks"], strict=True):
            seen = sample["image"][label] > 0.5
            if seen.sum() < 25:
                continue  # too small to compare
            around = masks_to_boxes(torch.stack([mask.bool(), seen])) + torch.tensor([0, 0, 1, 1])
            assert (around - box).abs().max() <= 1.51
            assert (mask.bool() ^ seen).sum() <= 0.5 * mask.sum().sqrt() * 4  # a rim of half a pixel
    assert whole > 0 or view == "large"


def test_without_masks_boxes_are_the_same(scene):
    image, things = scene
    for view in VIEWS.values():
        torch.manual_seed(1)
        one = view(image, things)
        torch.manual_seed(1)
        other = view(image, of(BOXES, None))
        assert "masks" not in other
        assert torch.equal(one["image"], other["image"])
        if len(one["labels"]) == len(other["labels"]):
            assert (one["boxes"] - other["boxes"]).abs().max() <= 1


def test_shorter_side_and_longest():
    assert shorter_side_size(480, 640, 800, 1333) == (800, 1067)
    assert shorter_side_size(300, 900, 800, 1333) == (444, 1333)
    assert shorter_side_size(50, 100, 64, 64) == (32, 64)
    assert shorter_side_size(1, 5000, 800, 1333) == (1, 1333)
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pixels = DetectEval(px=30, max_px=1333, mean=(0.5,) * 3, std=(0.25,) * 3)(image)
    assert pixels.shape == (3, 30, 45)
    assert torch.equal(pixels, torch.full_like(pixels, 2.0))


def test_each_image_gets_one_of_several_sizes(scene):
    sizes = set()
    for seed in range(40):
        torch.manual_seed(seed)
        sizes.add(min(VIEWS["several"](*scene)["image"].shape[1:]))
    assert sizes == {40, 50, 60}  # 64 would make the longer side 96


def test_a_part_has_the_sides_of_detr():
    """At 800 px: of an image of 400, 500 or 600 px a shorter side, 384 px to 600 px each way, and anywhere."""
    view, heights, places = DetectTrain(crop=0.5, **NORMAL), [], set()
    for seed in range(300):
        torch.manual_seed(seed)
        drawn = view._draw(1200, 2400)
        top, left, height, width = drawn.part
        assert 0 <= top <= 1200 - height
        assert 0 <= left <= 2400 - width
        if (height, width) != (1200, 2400):
            assert 384 * 2 <= height <= 1200  # scales of 1/3, 5/12 and 1/2
            assert 384 * 2 <= width <= 1800
            assert max(drawn.size) <= 1333
            heights.append(height)
            places.add((top > 0, left > 0))
    assert len(heights) == pytest.approx(150, abs=30)
    assert min(heights) < 800
    assert max(heights) > 1150
    assert (True, True) in places


def test_the_square_is_filled_up_at_the_right_and_bottom(scene):
    image, things = Image.new("RGB", (WIDTH, HEIGHT), "white"), scene[1]
    for seed in range(20):
        torch.manual_seed(seed)
        sample = VIEWS["jitter"](image, things)
        assert sample["image"].shape == (3, 64, 64)
        filled = sample["image"][0] > 0.99
        height, width = filled.any(dim=1).sum(), filled.any(dim=0).sum()
        assert filled[:height, :width].all()
        assert filled.sum() == height * width
        assert not sample["masks"][:, height:].any()
        assert not sample["masks"][:, :, width:].any()


def test_flips_happen_as_often_as_asked(scene):
    flipped = 0
    for seed in range(200):
        torch.manual_seed(seed)
        sample = DetectTrain(px=(HEIGHT,), hflip=0.25, **NORMAL)(*scene)
        flipped += int(sample["boxes"][0, 0]) == WIDTH - 40
    assert 30 <= flipped <= 70


def test_photometric_distortion_changes_colours_alone(scene):
    changed = 0
    for seed in range(20):
        samples = []
        for photometric in (False, True):
            torch.manual_seed(seed)
            samples.append(DetectTrain(square_px=64, photometric=photometric, **NORMAL)(*scene))
        plain, other = samples
        changed += not torch.equal(plain["image"], other["image"])
        assert other["image"].min() >= 0
        assert other["image"].max() <= 1
        assert all(torch.equal(plain[key], other[key]) for key in ("boxes", "labels", "masks"))
    assert changed >= 10


def test_crowds_are_no_targets(scene):
    image, things = scene
    sample = VIEWS["fitted"](image, of(BOXES, things.masks, crowd=[False, True, False]))
    assert sample["labels"].tolist() == [0, 2]
    assert len(sample["masks"]) == 2


@pytest.mark.parametrize("view", ["larger", "smaller", "fitted"])
def test_where_a_crowd_is_goes_with_its_image(scene, view):
    image, things = scene
    sample = VIEWS[view](image, of(BOXES, things.masks, crowd=[False, True, False]))
    green = (sample["image"].argmax(0) == 1) & (sample["image"][1] > 0.5)
    torch.testing.assert_close(
        sample["ignored"], masks_to_boxes(green[None]) + torch.tensor([0, 0, 1, 1]), atol=1, rtol=0
    )
    assert VIEWS[view](*scene)["ignored"].shape == (0, 4)


def test_an_image_without_anything():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    for view in VIEWS.values():
        sample = view(image, of([], []))
        assert sample["boxes"].shape == (0, 4)
        assert sample["labels"].shape == (0,)
        assert sample["masks"].shape == (0, *sample["image"].shape[1:])
        assert sample["boxes"].dtype == torch.float32
        assert sample["labels"].dtype == torch.int64


def test_what_has_left_the_view_is_no_target(scene):
    counts = set()
    for seed in range(40):
        torch.manual_seed(seed)
        sample = DetectTrain(square_px=64, scale_range=(3.0, 3.0), **NORMAL)(*scene)
        sides = sample["boxes"][:, 2:] - sample["boxes"][:, :2]
        assert (sides >= 1).all()
        assert (sample["boxes"] >= 0).all()
        assert (sample["boxes"] <= 64).all()
        assert sample["masks"].flatten(1).any(dim=1).all()
        counts.add(len(sample["labels"]))
    assert min(counts) < 3
