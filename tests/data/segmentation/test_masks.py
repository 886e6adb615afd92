"""Masks: files that hold numbers are read as they are, colours by what they stand for, others are refused by name."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.mask_files import read_index_mask
from fastitpn.data.segmentation.masks import MaskReader
from fastitpn.errors import InputError

NUMBERS = np.array([[0, 1, 2, 1], [3, 0, 1, 2]], np.uint8)


def png_of_few_bits(path: Path, numbers: np.ndarray, bits: int) -> None:
    """A gray PNG with 1, 2 or 4 bits per pixel, which Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b""
    for row in numbers:
        line = "".join(f"{number:0{bits}b}" for number in row)
        line += "0" * (-len(line) % 8)
        rows += b"\0" + int(line, 2).to_bytes(len(line) // 8, "big")
    header = struct.pack(">IIBBBBB", numbers.shape[1], numbers.shape[0], bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def saved(path: Path, numbers: np.ndarray) -> Path:
    Image.fromarray(numbers).save(path)
    return path


@pytest.mark.parametrize("bits", [2, 4])
def test_pngs_of_few_bits_give_their_numbers(tmp_path, bits):
    png_of_few_bits(tmp_path / "a.png", NUMBERS, bits)
    assert read_index_mask(tmp_path / "a.png").tolist() == NUMBERS.tolist()


def test_one_bit(tmp_path):
    png_of_few_bits(tmp_path / "a.png", NUMBERS % 2, 1)
    assert read_index_mask(tmp_path / "a.png").tolist() == (NUMBERS % 2).tolist()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_gray_and_16_bits(tmp_path, suffix):
    assert read_index_mask(saved(tmp_path / f"a{suffix}", NUMBERS)).tolist() == NUMBERS.tolist()
    if suffix != ".bmp":
        wide = NUMBERS.astype(np.uint16) * 300
        assert read_index_mask(saved(tmp_path / f"b{suffix}", wide)).tolist() == wide.tolist()


def test_a_palette_gives_places_and_not_colours(tmp_path):
    image = Image.fromarray(NUMBERS)
    image.putpalette([250, 0, 0, 0, 250, 0, 0, 0, 250, 9, 9, 9])
    image.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == "P"
    assert read_index_mask(tmp_path / "a.png").tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_gray_with_more_channels_gives_its_numbers(tmp_path, mode):
    Image.fromarray(NUMBERS).convert(mode).save(tmp_path / "a.png")
    assert read_index_mask(tmp_path / "a.png").tolist() == NUMBERS.tolist()
    assert MaskReader(num_classes=4)(tmp_path / "a.png").tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_transparent_mask_is_refused(tmp_path, mode):
    image = Image.fromarray(NUMBERS).convert(mode)
    image.putalpha(Image.fromarray(np.where(NUMBERS == 3, 0, 255).astype(np.uint8)))
    image.save(tmp_path / "a.png")
    with pytest.raises(InputError, match="1 pixels of this mask are transparent"):
        read_index_mask(tmp_path / "a.png")


def test_a_colour_mask_is_refused(tmp_path):
    path = saved(tmp_path / "a.png", np.stack([NUMBERS, NUMBERS * 2, NUMBERS], -1))
    with pytest.raises(InputError, match="this mask holds colours, not numbers of classes") as caught:
        read_index_mask(path)
    assert caught.value.where == path
    assert "to each colour the number of its class" in caught.value.fix


def test_numbers_as_floats(tmp_path):
    assert read_index_mask(saved(tmp_path / "a.tif", NUMBERS.astype(np.float32))).tolist() == NUMBERS.tolist()
    with pytest.raises(InputError, match="colours or fractions"):
        read_index_mask(saved(tmp_path / "b.tif", NUMBERS / np.float32(3)))


def test_a_jpeg_is_refused(tmp_path):
    Image.fromarray(NUMBERS).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="this mask is a JPEG, whose numbers are not those that were saved"):
        read_index_mask(tmp_path / "a.jpg")


@pytest.mark.parametrize(("content", "reason"), [(b"", "not an image"), (b"text", "not an image"), (None, "no such")])
def test_damaged_and_missing_masks(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=f"cannot read this mask: .*{reason}"):
        read_index_mask(tmp_path / "a.png")


class TestReader:
    def test_what_is_left_out(self, tmp_path):
        numbers = np.array([[0, 1, 2, 9]], np.uint8)
        path = saved(tmp_path / "a.png", numbers)
        assert MaskReader(num_classes=3, ignore_index=9)(path).tolist() == [[0, 1, 2, IGNORE]]
        assert MaskReader(num_classes=2, ignore_index=9, reduce_zero_label=True)(path).tolist() == [
            [IGNORE, 0, 1, IGNORE]
        ]

    def test_ade20k(self, tmp_path):
        """Raw 0 is left out, 1 to 150 are 0 to 149."""
        path = saved(tmp_path / "a.png", np.array([[0, 1, 150]], np.uint8))
        labels = MaskReader(num_classes=150, reduce_zero_label=True)(path)
        assert (labels.tolist(), labels.dtype) == ([[255, 0, 149]], np.uint8)

    def test_numbers_outside_of_the_classes(self, tmp_path):
        path = saved(tmp_path / "a.png", np.array([[0, 1, 7, 7, 5]], np.uint8))
        with pytest.raises(
            InputError, match=r"numbers outside of the classes: 5 \(1 pixels\), 7 \(2 pixels\)"
        ) as caught:
            MaskReader(num_classes=2)(path)
        assert caught.value.where == path
        assert caught.value.expected == "0 to 1, or 255 for pixels to leave out"

    def test_one_too_high_may_be_a_shift(self, tmp_path):
        path = saved(tmp_path / "a.png", np.array([[0, 1, 2]], np.uint8))
        with pytest.raises(InputError) as caught:
            MaskReader(num_classes=2)(path)
        assert caught.value.fix.startswith("reduce_zero_label=true if 0 is no class and 1 the first")

    def test_more_classes_than_can_be_told_apart(self, tmp_path):
        path = saved(tmp_path / "a.png", np.array([[0, 400]], np.uint16))
        with pytest.raises(InputError, match=r"400 \(1 pixels\)"):
            MaskReader()(path)
