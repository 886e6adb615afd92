"""Images with more than 8 bits: the range of a data set, and what becomes of their values."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fastitpn.config import build
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.keys import ImageKeys
from fastitpn.data.images.pixel_range import PixelRange, find_range
from fastitpn.data.images.reading import Reading, current_reading, reads_images, settle_range
from fastitpn.errors import InputError
from fastitpn.runs.description import ModelDescription
from tests.deep_images import write_png16, write_tiff

RAMP = np.arange(0, 4096, 64, dtype=np.uint16).reshape(8, 8)


def read(path, text: str) -> list[int]:
    """Values of the first row, red."""
    range_ = PixelRange.parse(text)
    assert range_ is not None
    return np.asarray(read_image(path, how=Reading(range=range_)))[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("most", "text"),
    [(255, "8bit"), (256, "10bit"), (2799, "12bit"), (4096, "14bit"), (16383, "14bit"), (16384, "16bit")],
)
@pytest.mark.parametrize("kind", ["gray.png", "gray.tiff", "colour.png", "colour.tif"])
def test_the_depth_of_a_data_set_is_the_smallest_that_holds_all(tmp_path, most, text, kind):
    values = np.array([[17, most // 2], [3, most]], np.uint16)
    (tmp_path / "d").mkdir()
    dark, bright = tmp_path / "d" / f"0{kind}", tmp_path / "d" / f"1{kind}"
    for path, array in ((dark, values // 8), (bright, values)):
        colours = np.dstack([array // 2, array // 3, array])
        if kind.startswith("gray"):
            Image.fromarray(array).save(path)
        else:
            (write_png16 if kind.endswith("png") else write_tiff)(path, colours)
    Image.new("RGB", (4, 4), "white").save(tmp_path / "plain.png")
    found = find_range([dark, bright, tmp_path / "plain.png", tmp_path / "none.png"])
    assert found is not None
    assert (found.text, found.deep, found.high) == (text, 2, most)


@pytest.mark.parametrize("kind", ["a.png", "a.tiff", "colour.png", "colour.tif", "alpha.png"])
def test_12_bits_keep_their_range(tmp_path, kind):
    path = tmp_path / kind
    if kind.startswith("a."):
        Image.fromarray(RAMP).save(path)
    else:
        alpha = [np.full_like(RAMP, 65535)] * kind.startswith("alpha")
        (write_png16 if kind.endswith("png") else write_tiff)(path, np.dstack([RAMP, RAMP, RAMP, *alpha]))
    found = find_range([path])
    assert found is not None
    assert found.text == "12bit"
    values = np.asarray(read_image(path, how=Reading(range=PixelRange.parse("12bit"))))
    assert (np.abs(values.astype(int) - (RAMP * (255 / 4095))[..., None]) <= 0.51).all()
    assert len(np.unique(values)) == 64
    assert np.asarray(read_image(path)).max() in (15, 16)  # alone, all of 16 bits is its range


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("full", [0, 257, 65535], [0, 1, 255]),
        ("8bit", [0, 100, 255], [0, 100, 255]),
        ("0-4095", [0, 4095, 9000], [0, 255, 255]),
        ("1000-3000", [0, 2000, 3000], [0, 128, 255]),
    ],
)
def test_ranges_by_name(tmp_path, text, values, expected):
    Image.fromarray(np.array([values], np.uint16)).save(tmp_path / "a.tiff")
    assert read(tmp_path / "a.tiff", text) == expected


@pytest.mark.parametrize(
    ("dtype", "text", "values", "expected"),
    [
        (np.int32, "-50-50", [-50, 0, 50, 60], [0, 128, 255, 255]),
        (np.int32, "0-100000", [0, 50000, 100000, 100000], [0, 128, 255, 255]),
        (np.float32, "0-3000", [0.0, 1500.0, 3000.0, -9999.0], [0, 128, 255, 0]),
        (np.float32, "float255", [0.0, 0.5, 1.0, 255.0], [0, 0, 1, 255]),
        (np.float32, "12bit", [0.0, 0.5, 1.0, 1.0], [0, 128, 255, 255]),
    ],
)
def test_signed_large_and_float_values(tmp_path, dtype, text, values, expected):
    Image.fromarray(np.array([values], dtype)).save(tmp_path / "a.tiff")
    assert read(tmp_path / "a.tiff", text) == pytest.approx(expected, abs=1)


def test_dark_float_images_of_a_data_set_up_to_255_stay_dark(tmp_path):
    for name, most in (("dark", 0.9), ("bright", 250.0)):
        Image.fromarray(np.array([[0.0, most]], np.float32)).save(tmp_path / f"{name}.tif")
    found = find_range(sorted(tmp_path.iterdir()))
    assert found is not None
    assert found.text == "float255"
    assert read(tmp_path / "dark.tif", found.text) == [0, 1]


def test_images_that_are_refused_do_not_decide(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.tiff")
    Image.fromarray(np.array([[-5, 9]], np.int32)).save(tmp_path / "b.tiff")
    Image.fromarray(np.array([[5, 90000]], np.int32)).save(tmp_path / "c.tiff")
    found = find_range(sorted(tmp_path.iterdir()))
    assert found is not None
    assert (found.text, found.low, found.high) == ("12bit", -5, 90000)


def test_values_above_the_depth_are_named(tmp_path):
    Image.fromarray(np.array([[0, 5000]], np.uint16)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=r"(?s)run from 0 to 5000, not from 0 to 4095.*image\.range=LOW-HIGH"):
        read(tmp_path / "a.tiff", "12bit")


def test_data_of_8_bits_has_no_range(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    Image.new("P", (4, 4)).save(tmp_path / "b.png")
    Image.new("1", (4, 4)).save(tmp_path / "c.tiff")
    assert find_range(sorted(tmp_path.iterdir())) is None


@pytest.mark.parametrize("text", ["12", "4095", "0..4095", "13bit", "9-1x"])
def test_other_spellings_are_refused(text):
    with pytest.raises(InputError, match=r"range: expected auto, full, 8bit.*LOW-HIGH, got"):
        build(ImageKeys, {"range": text})


@pytest.mark.parametrize(
    ("asked", "trained", "expected"),
    [("auto", None, "12bit"), ("auto", "14bit", "14bit"), ("full", "14bit", "full"), ("0-99", None, "0-99")],
)
def test_a_command_settles_its_range(tmp_path, capsys, asked, trained, expected):
    Image.fromarray(RAMP).save(tmp_path / "a.tiff")

    class Keys:
        image = ImageKeys(range=asked, max_mpx=7)

    @reads_images
    def run(config: Keys) -> tuple[str | None, Reading]:
        return settle_range(config.image, [tmp_path / "a.tiff"], trained), current_reading()

    text, how = run(Keys())
    assert (text, how) == (expected, Reading(range=PixelRange.parse(expected), max_mpx=7))
    assert current_reading() == Reading()


def test_a_checkpoint_keeps_the_range():
    about = ModelDescription(
        model={"name": "fastitpn_nano", "arguments": {}}, mean=(0.0,) * 3, std=(1.0,) * 3, px=32, pixel_range="12bit"
    )
    assert about.to_dict()["pixel_range"] == "12bit"
    assert ModelDescription.from_dict(about.to_dict()) == about
    plain = replace(about, pixel_range=None)
    assert "pixel_range" not in plain.to_dict()  # as before there was one
    assert ModelDescription.from_dict(plain.to_dict()) == plain
