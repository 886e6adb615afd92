from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from fastitpn.data.images import decode as images
from fastitpn.data.images.decode import read_image, to_rgb, upright_size, verify_image
from fastitpn.errors import InputError


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.ppm"])
def test_lossless_formats_keep_every_pixel(tmp_path, photo, name):
    photo.save(tmp_path / name)
    image = read_image(tmp_path / name)
    assert (image.mode, image.size) == ("RGB", (96, 72))
    np.testing.assert_array_equal(pixels(image), pixels(photo))


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.gif"])
def test_lossy_formats_are_close(tmp_path, photo, name):
    photo.save(tmp_path / name)
    assert np.abs(pixels(read_image(tmp_path / name)) - pixels(photo)).mean() < 10


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_once(tmp_path, photo, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    photo.save(path, exif=exif)
    image = read_image(path)
    with Image.open(path) as stored:
        expected = ImageOps.exif_transpose(stored)
    assert image.size == ((96, 72) if orientation < 5 else (72, 96))
    np.testing.assert_array_equal(pixels(image), pixels(expected))
    np.testing.assert_array_equal(pixels(ImageOps.exif_transpose(image)), pixels(image))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_cost_the_picture(tmp_path, photo):
    photo.save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff garbage")
    assert read_image(tmp_path / "a.jpg").size == (96, 72)


def test_transparency_is_laid_on_white(tmp_path):
    image = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 128))
    image.putpixel((2, 0), (0, 0, 0, 0))
    image.save(tmp_path / "a.png")
    assert pixels(read_image(tmp_path / "a.png")).tolist() == [[[255, 0, 0], [255, 127, 127], [255, 255, 255]]]


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_one_transparent_colour_is_laid_on_white(tmp_path, mode):
    image = Image.new(mode, (2, 1))
    image.putpalette([0, 0, 0, 10, 20, 30]) if mode == "P" else None
    image.putpixel((1, 0), {"L": 7, "P": 1, "RGB": (1, 2, 3)}[mode])
    image.save(tmp_path / "a.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert pixels(read_image(tmp_path / "a.png")).tolist() == [
        [[255, 255, 255], {"L": [7, 7, 7], "P": [10, 20, 30], "RGB": [1, 2, 3]}[mode]]
    ]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb_with_the_same_content(photo, mode):
    expected = photo.convert("L").convert("RGB") if mode in ("L", "LA") else photo
    tolerance = {"P": 40, "1": 130, "HSV": 8}.get(mode, 3)
    assert np.abs(pixels(to_rgb(photo.convert(mode))) - pixels(expected)).mean() < tolerance


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert np.abs(pixels(read_image(tmp_path / "a.jpg")) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize(("name", "dtype"), [("a.png", "<u2"), ("a.tiff", "<u2"), ("a.tiff", ">u2"), ("a.tiff", "<i4")])
def test_16_bits_are_scaled(tmp_path, name, dtype):
    values = np.array([[0, 128, 129, 257, 257 * 100, 65535]]).astype(dtype)
    Image.fromarray(values).save(tmp_path / name)
    assert pixels(read_image(tmp_path / name))[0, :, 0].tolist() == [0, 0, 1, 1, 100, 255]
    assert pixels(read_image(tmp_path / name))[0, 4].tolist() == [100, 100, 100]


@pytest.mark.parametrize(
    ("values", "expected"), [([0, 0.5, 1], [0, 128, 255]), ([0, 100.4, 255], [0, 100, 255]), ([0, 0, 0], [0, 0, 0])]
)
def test_float_images(tmp_path, values, expected):
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "a.tiff")
    assert pixels(read_image(tmp_path / "a.tiff"))[0, :, 1].tolist() == expected


@pytest.mark.parametrize("bad", [-1.0, 300.0, float("nan")])
def test_float_images_out_of_range_are_refused(tmp_path, bad):
    Image.fromarray(np.array([[0, bad]], dtype=np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=r"(?s)pixel values run from.*a\.tiff.*from 0 to 255.*8 bits"):
        read_image(tmp_path / "a.tiff")


def test_the_first_picture_of_an_animation_is_read(tmp_path, photo):
    photo.save(tmp_path / "a.gif", save_all=True, append_images=[ImageOps.invert(photo)])
    assert np.abs(pixels(read_image(tmp_path / "a.gif")) - pixels(photo)).mean() < 10


@pytest.mark.parametrize("name", ["a b.jpg", "[1] #%&*?.JPG", "größe 猫.jpeg", "wrong extension.png", "none"])
def test_names_do_not_matter(tmp_path, photo, name):
    photo.save(tmp_path / name, format="JPEG")
    assert read_image(tmp_path / name).size == read_image(str(tmp_path / name)).size == (96, 72)


def test_the_callers_image_is_not_changed(photo):
    image = photo.copy()
    image.info["comment"] = "kept"
    assert to_rgb(image) is not image
    assert image.info == {"comment": "kept"}


def test_reduced_decoding_never_goes_below_what_is_asked(tmp_path, photo):
    photo.resize((960, 720)).save(tmp_path / "a.jpg")
    sizes = {min_px: read_image(tmp_path / "a.jpg", min_px=min_px).size for min_px in (90, 91, 180, 361, 720, 2000)}
    assert sizes == {90: (120, 90), 91: (240, 180), 180: (240, 180), 361: (960, 720), 720: (960, 720), 2000: (960, 720)}
    photo.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", min_px=4).size == (96, 72)


def truncated(path: Path, photo: Image.Image) -> Path:
    photo.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


@pytest.mark.parametrize("check", [read_image, verify_image])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tiff", "a.gif"])
def test_truncated_files(tmp_path, photo, check, name):
    path = truncated(tmp_path / name, photo)
    with pytest.raises(InputError, match=rf"(?s)cannot read this image.*{name}.*complete image.*replace or delete"):
        check(path)


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_files_damaged_in_the_middle(tmp_path, photo, name):
    photo.save(tmp_path / name, **({"compression": "tiff_lzw"} if name == "a.tiff" else {}))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 3] + bytes(300) + data[len(data) // 3 + 300 :])
    with pytest.raises(InputError, match="cannot read this image"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("check", [read_image, verify_image])
def test_files_that_are_no_images(tmp_path, check):
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.png").touch()
    for name, message in {
        "text.jpg": "not an image in a known format",
        "empty.png": "the file is empty",
        "none.jpg": "this image file does not exist",
        "": "this is a folder, not an image",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            check(tmp_path / name)
        assert caught.value.where == tmp_path / name
        assert caught.value.fix


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_complete_files_are_verified_without_decoding(tmp_path, photo, name, monkeypatch):
    photo.save(tmp_path / name)
    monkeypatch.setattr(images, "read_image", None)
    verify_image(tmp_path / name)


def test_bytes_after_the_end_of_a_jpeg_are_allowed(tmp_path, photo):
    photo.save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"\0" * 500)
    verify_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_upright_size_is_that_of_the_image_that_is_read(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert upright_size(tmp_path / "a.jpg") == read_image(tmp_path / "a.jpg").size


def test_the_size_of_what_is_no_image(tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(InputError, match="not an image in a known format"):
        upright_size(tmp_path / "a.jpg")
