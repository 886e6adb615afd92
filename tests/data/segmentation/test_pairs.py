"""Images and their masks: everything that is wrong is named at once, or left out with a count by reason."""

import numpy as np
import pytest
from damaging import resize_header
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.masks import MaskReader
from fastitpn.data.segmentation.pairs import check_pairs, look_at_pairs
from fastitpn.errors import InputError

NUMBERS = np.array([[0, 1, 2, 1], [3, 0, 1, 2]], np.uint8)


def saved(path, numbers):
    Image.fromarray(numbers).save(path)
    return path


def checked(images, masks, reader, **keys):
    """Places of the pairs to use, and the highest label (-1 without any)."""
    pairs = list(zip(images, masks, strict=True))
    result = check_pairs(pairs, look_at_pairs(pairs), reader, **keys)
    labels = [label for counts in result.counts for label in counts if label != IGNORE]
    return result.places, max(labels, default=-1)


@pytest.fixture
def pairs(tmp_path):
    """Five pairs: right, of another size, with a wrong number, without a mask, and with a colour mask."""
    images, masks = [], []
    for place in range(5):
        images.append(tmp_path / f"{place}.jpg")
        Image.new("RGB", (4, 2)).save(images[-1])
        masks.append(saved(tmp_path / f"{place}.png", NUMBERS))
    saved(masks[1], NUMBERS.T.copy())
    saved(masks[2], NUMBERS + np.uint8(7))
    masks[3] = None
    saved(masks[4], np.stack([NUMBERS, NUMBERS * 2, NUMBERS], -1))
    return images, masks


def test_all_are_named_at_once(pairs):
    images, masks = pairs
    with pytest.raises(InputError) as caught:
        checked(images, masks, MaskReader(num_classes=4))
    error = caught.value
    assert error.what == "4 of 5 images and masks cannot be used"
    for line in (
        f"{masks[1]}: a mask of 2x4 px for an image of 4x2 px",
        f"{masks[2]}: numbers outside of the classes: 7 (2 pixels), 8 (3 pixels)",
        f"{images[3]}: this image has no mask",
        f"{masks[4]}: it holds colours, not numbers of classes: [1, 2, 1] (3 pixels), [2, 4, 2] (2 pixels)",
        "1 x image without a mask",
    ):
        assert line in error.where
    assert error.fix.endswith("on_error=skip")


def test_one_kind_of_trouble_has_its_own_advice(pairs):
    images, masks = pairs
    with pytest.raises(InputError) as caught:
        checked([images[0], images[4]], [masks[0], masks[4]], MaskReader(num_classes=4))
    assert caught.value.what == "1 of 2 images and masks cannot be used"
    assert caught.value.fix.startswith("give every class its colour in classes.yaml")


def test_skipping_says_how_many_and_why(pairs, capsys):
    kept, highest = checked(*pairs, MaskReader(num_classes=4), on_error="skip")
    assert (kept, highest) == ([0], 3)
    said = capsys.readouterr().out
    assert said.startswith("4 of 5 images are skipped:\n")
    assert f"{pairs[0][3]}: this image has no mask" in said


def test_skipping_all_is_an_error(pairs):
    images, masks = pairs
    with pytest.raises(InputError, match="1 of 1 images and masks cannot be used"):
        checked(images[1:2], masks[1:2], MaskReader(), on_error="skip")


def test_the_highest_label_of_masks_that_are_left_out_altogether(tmp_path, pairs):
    mask = saved(tmp_path / "empty.png", np.full((2, 4), 255, np.uint8))
    assert checked(pairs[0][:1], [mask], MaskReader()) == ([0], -1)


def test_a_mask_of_another_size_is_not_decoded(tmp_path):
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg")
    mask = saved(tmp_path / "a.png", NUMBERS)
    resize_header(mask, 9000, 9000)
    [error] = look_at_pairs([(tmp_path / "a.jpg", mask)])
    assert isinstance(error, InputError)
    assert error.what == "a mask of 9000x9000 px for an image of 4x2 px"


def test_a_photo_that_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    upright = saved(tmp_path / "a.png", NUMBERS.T.copy())
    assert checked([tmp_path / "a.jpg"], [upright], MaskReader()) == ([0], 3)
    lying = saved(tmp_path / "b.png", NUMBERS)
    with pytest.raises(InputError) as caught:
        checked([tmp_path / "a.jpg"], [lying], MaskReader())
    assert "a mask of 4x2 px for an image of 2x4 px (turned upright, as its EXIF block asks)" in caught.value.where
