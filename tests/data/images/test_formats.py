"""Formats that Pillow reads by itself or with a plugin, and pictures that are large."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401
import pytest
from PIL import Image

from fastitpn.data.images.decode import decode_image, read_image, upright_size, verify_image
from fastitpn.data.images.kinds import EXTENSIONS
from fastitpn.data.images.reading import Reading
from fastitpn.errors import InputError

TURNED = Image.Exif()
TURNED[0x0112] = 6


def save(picture: Image.Image, path, **keys) -> None:
    if path.suffix == ".heic":
        file = pillow_heif.from_pillow(picture)
        if "exif" in keys:
            file.info["exif"] = keys["exif"]
        file.save(path, quality=95)
    else:
        picture.save(path, **keys)


@pytest.mark.parametrize("suffix", [".heic", ".jxl", ".avif", ".jp2"])
def test_newer_formats_are_read(tmp_path, photo, suffix):
    picture = photo.resize((48, 32))
    path = tmp_path / f"a{suffix}"
    save(picture, path)
    verify_image(path)
    image = read_image(path)
    assert suffix in EXTENSIONS
    assert (image.mode, image.size, upright_size(path)) == ("RGB", (48, 32), (48, 32))
    assert np.abs(np.asarray(image).astype(int) - np.asarray(picture)).mean() < 12


@pytest.mark.parametrize("suffix", [".heic", ".jxl", ".avif"])
def test_they_are_turned_upright_once(tmp_path, photo, suffix):
    picture = photo.resize((48, 32))
    path = tmp_path / f"a{suffix}"
    save(picture.transpose(Image.Transpose.ROTATE_90), path, exif=TURNED.tobytes())
    assert upright_size(path) == (48, 32)
    assert np.abs(np.asarray(read_image(path)).astype(int) - np.asarray(picture)).mean() < 12


def test_a_damaged_jxl_is_called_damaged(tmp_path, photo):
    path = tmp_path / "a.jxl"
    save(photo.resize((48, 32)), path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"^cannot read this image: a JPEG XL image that is damaged"):
        read_image(path)


def test_a_heic_that_is_called_jpg_is_read(tmp_path, photo):
    save(photo.resize((48, 32)), tmp_path / "a.heic")
    (tmp_path / "a.heic").rename(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").size == (48, 32)


def test_the_largest_image_is_a_key(tmp_path):
    Image.new("1", (1500, 1000)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", how=Reading(max_mpx=1.5)).size == (1500, 1000)
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "a.png", how=Reading(max_mpx=1.4))
    assert "it has 2 megapixels (1500x1000 px), more than image.max_mpx=1.4" in str(caught.value)
    assert caught.value.fix == "image.max_mpx=2 if it is what it should be"


def test_pillows_own_limit_gives_way(tmp_path, monkeypatch):
    Image.new("1", (1500, 1000)).save(tmp_path / "a.png")
    for limit in (1_000_000, 500_000):  # of which Pillow warns, and which it refuses
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=r"more than image\.max_mpx=1\.4") as caught:
            read_image(tmp_path / "a.png", how=Reading(max_mpx=1.4))
        assert "bomb" not in str(caught.value)
        assert limit == Image.MAX_IMAGE_PIXELS
        image = read_image(tmp_path / "a.png", how=Reading(max_mpx=2))
        assert image.crop((0, 0, 1500, 1000)).size == (1500, 1000)


def test_a_file_of_16_bits_from_memory_is_read_as_from_disk(tmp_path):
    Image.fromarray(np.full((4, 4), 257, np.uint16)).save(buffer := io.BytesIO(), "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert np.asarray(read_image(tmp_path / "a.png")).max() == 1


def test_a_png_that_says_more_pixels_than_its_bytes_can_hold_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    content = io.BytesIO()
    Image.new("RGB", (29, 21)).save(content, "PNG")
    header = b"IHDR" + struct.pack(">II", 29, 4_194_325) + content.getvalue()[24:29]
    damaged = content.getvalue()[:12] + header + struct.pack(">I", zlib.crc32(header)) + content.getvalue()[33:]
    (tmp_path / "a.png").write_bytes(damaged)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("it was decoded"))
    for read in (lambda: read_image(tmp_path / "a.png"), lambda: decode_image(damaged, where="a.png")):
        with pytest.raises(InputError, match="29x4194325 px, which do not fit into its") as caught:
            read()
        assert str(caught.value.where).endswith("a.png")


def test_the_smallest_png_of_its_size_is_read(tmp_path):
    Image.new("1", (6000, 6000)).save(tmp_path / "a.png", optimize=True)
    assert read_image(tmp_path / "a.png").size == (6000, 6000)
