"""Images find their masks by the names that people give them."""

from pathlib import Path

import pytest

from fastitpn.data.images.folders import unlabelled
from fastitpn.data.images.mask_names import masks_among, match_masks

MASK_NAMES = "a_mask a-mask a.mask a_label a_labels a_gt a_GT a_seg a_labelIds a_labelTrainIds a_gtFine_labelIds a_L"


def matched(images, masks, pattern=None):
    matches = match_masks({name: Path(name) for name in images}, [(name, Path(name)) for name in masks], pattern)
    return [mask and str(mask) for _, mask in matches.pairs], matches


@pytest.mark.parametrize("mask", [*MASK_NAMES.split(), "mask_a", "a.jpg", "MASK-a", "gt_a", "label_a"])
@pytest.mark.parametrize("image", ["a", "c/a"])
def test_one_mask_for_every_image(image, mask):
    folder = image.rpartition("/")[0] + "/" * ("/" in image)
    masks = [f"{folder}{mask.replace('a', letter, 1) if mask.startswith('a') else mask}.png" for letter in "ab"]
    if not mask.startswith("a"):
        masks = [f"{folder}{mask[:-1]}{letter}.png" for letter in "ab"]
    pairs, matches = matched([f"{folder}{letter}.jpg" for letter in "ab"], masks)
    assert pairs == masks
    assert matches.line is not None


@pytest.mark.parametrize(
    ("images", "masks", "pairs"),
    [
        (["1_sat.jpg", "2_sat.jpg"], ["1_mask.png", "2_mask.png"], ["1_mask.png", "2_mask.png"]),
        (["img_1.jpg", "img_2.jpg"], ["mask_1.png", "mask_2.png"], ["mask_1.png", "mask_2.png"]),
        (["Bär.jpg"], ["Bär.png"], ["Bär.png"]),  # another Unicode form
        (["a.JPG", "B.jpg"], ["a.png", "b.PNG"], ["a.png", "b.PNG"]),
        (["x/a.jpg"], ["y/a_mask.png"], [None]),  # never by its name in another folder
        (["a.jpg", "b.jpg"], ["a_mask.png"], [None, None]),  # not for every image
        (["a.jpg"], ["a_labelIds.png", "a_labelTrainIds.png"], ["a_labelTrainIds.png"]),
        (["a.jpg"], ["a.tif", "a.png"], ["a.png"]),
    ],
)
def test_pairs(images, masks, pairs):
    assert matched(images, masks)[0] == pairs


def test_what_might_be_meant():
    assert matched(["a.jpg", "b.jpg"], ["a_mask.png"])[1].hint == "1 of 2 images have a mask named *_mask"


@pytest.mark.parametrize(
    ("pattern", "mask"),
    [("{stem}_x", "a_x.png"), ("{stem}_x.png", "a_x.png"), ("x{stem}", "xa.png"), ("{name}", "a.jpg.png")],
)
def test_a_pattern(pattern, mask):
    assert matched(["a.jpg"], [mask, "a_mask.png"], pattern)[0] == [mask]
    assert matched(["a_sat.jpg"], [mask], pattern)[0] == [None if "name" in pattern else mask]


def test_masks_beside_their_images():
    files = [Path(name) for name in ("a.jpg", "a_mask.png", "b_mask.png", "c_sat.jpg", "c_mask.png", "x/a_mask.png")]
    assert {str(path) for path in masks_among(files)} == {"a_mask.png", "c_mask.png"}


@pytest.mark.parametrize(
    ("files", "images"),
    [
        (["images/a.png", "masks/a.png"], ["images/a.png"]),
        (["JPEGImages/a.jpg", "SegmentationClass/a.png"], ["JPEGImages/a.jpg"]),
        (["images/train/a.png", "images/test/b.png", "masks/train/a.png"], ["images/train/a.png"]),
        (["train/images/a.png", "train/masks/a.png", "val/images/b.png"], ["train/images/a.png"]),
        (["a.jpg", "a_mask.png", "b_mask.png"], ["a.jpg", "b_mask.png"]),
        (["x/a.jpg", "masks/b.jpg"], ["masks/b.jpg", "x/a.jpg"]),  # a class of that name
    ],
)
def test_pre_training_takes_no_masks_for_pictures(tmp_path, files, images):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in unlabelled(tmp_path)] == images


@pytest.mark.parametrize(
    ("masks", "matched"),
    [
        (("1_P", "10_P", "2_P"), True),
        (("seen1x", "seen10x", "seen2x"), True),
        (("1_P", "10_P", "2_Q"), False),
        (("1_P", "10_P"), False),
    ],
)
def test_anything_that_every_mask_has_more_than_its_image(masks, matched):
    images = {f"{stem}.jpg": Path(f"images/{stem}.jpg") for stem in ("1", "10", "2")}
    found = match_masks(images, [(f"{stem}.png", Path(f"masks/{stem}.png")) for stem in masks])
    expected = [Path(f"masks/{stem}.png") for stem in masks] if matched else [None] * 3
    assert [mask for _, mask in found.pairs] == expected
    assert bool(found.line) == matched
