"""Files that are no images in a known format are named for what they are."""

import os

import numpy as np
import pytest
from PIL import Image

from fastitpn.data.images import signatures
from fastitpn.data.images.decode import decode_image, read_image
from fastitpn.errors import InputError
from tests.deep_images import write_tiff

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LFS, "a Git LFS pointer, not the image itself: git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "a web page, not an image"),
        (b"\n <html>", "a web page"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"%PDF-1.7", "a PDF, not an image: save its pages as PNG"),
        (b'<?xml version="1.0"?>\n<svg xmlns="">', "an SVG drawing"),
        (b"<?xml version='1.0'?><annotation>", "a text file"),
        (b'{"images": []}', "a text file"),
        (b"\0" * 128 + b"DICM", "a DICOM file"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"PK\3\4", "an archive"),
        (b"\0" * 4000, "it begins with zeros"),
        (b"", "the file is empty"),
        (b"hello", "not an image in a known format"),
    ],
)
def test_files_are_named(tmp_path, content, words):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for read in (lambda: read_image(path), lambda: decode_image(content, where="x")):
        with pytest.raises(InputError) as caught:
            read()
        assert caught.value.what.startswith("cannot read this image: ")
        assert words in caught.value.what


@pytest.mark.parametrize(
    ("content", "suffix", "extra"),
    [(HEIC, ".heic", "heif"), (b"\xff\x0a1", ".jxl", "jxl"), (b"\0\0\0\x0cJXL \r\n\x87\n", ".jxl", "jxl")],
)
def test_a_missing_plugin_is_named_by_content(monkeypatch, content, suffix, extra):
    monkeypatch.setattr(signatures, "EXTENSIONS", signatures.EXTENSIONS - {suffix})
    assert str(signatures.identify(content)).endswith(f"which needs a plugin: pip install 'fastitpn[{extra}]'")
    monkeypatch.setattr(signatures, "EXTENSIONS", signatures.EXTENSIONS | {suffix})
    assert str(signatures.identify(content)).endswith("image that is damaged")


@pytest.mark.parametrize(
    ("bands", "dtype", "words"),
    [
        (5, np.uint16, "a TIFF with 5 bands of 16 bits"),
        (13, np.uint8, "a TIFF with 13 bands of 8 bits"),
        (6, np.uint16, "a TIFF with 6 bands of 16 bits"),
    ],
)
def test_bands_of_a_tiff_are_named(tmp_path, bands, dtype, words):
    path = write_tiff(tmp_path / "a.tif", np.zeros((6, 5, bands), dtype))
    with pytest.raises(InputError, match=f"{words}, which is no picture: save 1 band"):
        read_image(path)


def test_numbers_of_a_tiff_are_named(tmp_path):
    path = write_tiff(tmp_path / "a.tif", np.zeros((6, 5, 1), np.float64))
    with pytest.raises(InputError, match="a TIFF with 1 band of 64 bits, which is no picture"):
        read_image(path)


@pytest.mark.parametrize(("content", "name"), [(b"\xff\xd8\xff\xe0", "JPEG"), (b"\0\0\0\x0cjP  \r\n", "JPEG 2000")])
def test_damaged_headers_are_named(content, name):
    assert str(signatures.identify(content)) == f"a {name} image that is damaged"


def test_a_link_to_nothing_is_named(tmp_path):
    os.symlink("/gone/x.jpg", tmp_path / "x.jpg")
    with pytest.raises(InputError, match=r"this is a link to a file that does not exist: /gone/x\.jpg"):
        read_image(tmp_path / "x.jpg")


def test_an_image_with_another_name_is_read(tmp_path):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.heic")
    assert read_image(tmp_path / "a.heic").getpixel((0, 0)) == (255, 0, 0)
