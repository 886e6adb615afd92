"""Values of images with more than 8 bits: which are black and white. A sensor's 12 bits keep their range."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastitpn.data.images.tar_members import read_member
from fastitpn.data.looking import look_at_each
from fastitpn.errors import InputError

Content = Callable[[], bytes]
"""Gives the bytes of an image that lies in no file of its own."""
_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that sensors have."""
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_SPELLING = re.compile(rf"(8|10|12|14|16)bit|{_NUMBER}-{_NUMBER}")
_NEVER_DEEP = {".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".gif", ".bmp"}
_MOST_READ = 2000
"""Images of a data set that are read to find its range, spread over all."""
_SWAPPED = {"16B": "16L", "16L": "16B", "16N": "16B"}
"""To Pillow's raw mode that keeps the high byte of 16 bits: the one that keeps the low byte (N: little endian)."""


@dataclass(frozen=True, kw_only=True)
class PixelRange:
    """The values of black and white in images of more than 8 bits; images of 8 bits are never changed.

    Attributes:
        low: Value of black.
        high: Value of white.
        cut: Values outside become black or white, and float images have this range too; else an image with values
            outside is refused.
        white_float: White in float images, where the range is not cut; None: 1, or 255 if any value is above 1.
    """

    low: float = 0
    high: float = 65535
    cut: bool = False
    white_float: float | None = None

    @classmethod
    def parse(cls, text: str) -> "PixelRange | None":
        """From `full`, `12bit`, `0-4095`, or `float255` (integers as with full); None if it is none of them."""
        if text in ("full", "float255"):
            return cls(white_float=255 if text == "float255" else None)
        match = _SPELLING.fullmatch(text)
        if match is None:
            return None
        if match[1]:
            return cls(high=2 ** int(match[1]) - 1)
        low, high = float(match[2]), float(match[3])
        return cls(low=low, high=high, cut=True) if low < high else None

    def __str__(self) -> str:
        if self.white_float is not None:
            return f"0 is black, {self.white_float:g} is white"
        return f"{self.low:g} is black, {self.high:g} is white"

    def to_8_bit(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Scales integers or floats of any shape to 0..255.

        Raises:
            InputError: Values are outside of the range.
        """
        low, high = self.low, self.high
        least, most = values.min(), values.max()
        if values.dtype.kind == "f" and not self.cut:
            low, high = 0, self.white_float or 255
        if np.isnan(most) or not (self.cut or (least >= low and most <= high)):
            raise InputError(
                f"pixel values run from {round(least.item(), 3)} to {round(most.item(), 3)}, "
                f"not from {low:g} to {high:g}",
                expected=f"values from {low:g} to {high:g}",
                fix="image.range=LOW-HIGH, with LOW as black and HIGH as white, and values outside clipped; or "
                "convert it to 8 bits per channel",
            )
        if values.dtype.kind == "f" and not self.cut and self.white_float is None and most <= 1:
            high = 1
        if values.dtype.kind == "u" and values.dtype.itemsize == 2:
            return _table(low, high)[values]
        scaled = (values.clip(low, high) - low) * (255 / (high - low))
        return np.rint(scaled).astype(np.uint8)


@cache
def _table(low: float, high: float) -> NDArray[np.uint8]:
    """The 8-bit value of each of 16 bits."""
    shares = (np.arange(2**16).clip(low, high) - low) / (high - low)
    return np.rint(255 * shares).astype(np.uint8)


FULL = PixelRange()
"""All of 16 bits."""


@dataclass(frozen=True, kw_only=True)
class FoundRange:
    """What the values of a data set's images of more than 8 bits are.

    Attributes:
        deep: How many such images were read.
        low: Their least value.
        high: Their largest value.
        text: The range as `image.range` spells it: the smallest bit depth that holds all values from 0 to 65535. Images
            with others are refused, and do not count.
    """

    deep: int
    low: float
    high: float
    text: str

    def __str__(self) -> str:
        values = f"values from {self.low:g} to {self.high:g}"
        return f"{self.deep:,} image{'s' * (self.deep != 1)} with more than 8 bits per channel: {values}"


def find_range(images: Sequence[Path | Content]) -> FoundRange | None:
    """The range of a data set's images with more than 8 bits; None if there are none.

    Args:
        images: Files, or what gives their bytes; at most 2,000 of them, spread over all, are opened. Those that cannot
            be read do not count.
    """
    candidates = [image for image in images if not isinstance(image, Path) or may_be_deep(image)]
    if len(candidates) > _MOST_READ:
        candidates = [candidates[i * len(candidates) // _MOST_READ] for i in range(_MOST_READ)]
    ends = [pair for pair in look_at_each(_ends, candidates, "reading pixel values") if pair is not None]
    if not ends:
        return None
    ints = [high for low, high, is_float in ends if not is_float and low >= 0 and high < 2**16]
    floats = [high for low, high, is_float in ends if is_float and low >= 0 and high <= 255]
    text = "float255" if not ints and max(floats, default=0) > 1 else "full"
    if ints:
        text = next(f"{bits}bit" for bits in _DEPTHS if max(ints) < 2**bits)
    lows, highs, _ = zip(*ends, strict=True)
    return FoundRange(deep=len(ends), low=min(lows), high=max(highs), text=text)


def may_be_deep(path: PurePath) -> bool:
    """Whether a file of this name may have more than 8 bits per channel."""
    return path.suffix.lower() not in _NEVER_DEEP


def _ends(image_of: Path | Content) -> tuple[float, float, bool] | None:
    """Least and largest value, and whether these are floats; None for 8 bits, and where there is no picture."""
    try:
        if isinstance(image_of, Path):
            content = read_member(image_of)
            source = image_of if content is None else io.BytesIO(content)
        else:
            source = io.BytesIO(image_of())
        with Image.open(source) as image:
            if not is_deep(image):
                return None
            values = deep_values(image, source)
    except MemoryError:
        raise
    except Exception:  # what is wrong with the file, its check says
        return None
    colours = values if values.ndim == 2 else values[..., :3]
    return float(colours.min()), float(colours.max()), values.dtype.kind == "f"


def is_deep(image: Image.Image) -> bool:
    """Whether an image has more than 8 bits per channel, before it is decoded."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16") or is_deep_colour(image)


def is_deep_colour(image: Image.Image) -> bool:
    """Whether it is an image in colour of 16 bits, of which Pillow gives the high byte."""
    return _raw_mode(image).startswith(("RGB", "CMYK")) and ";16" in _raw_mode(image)


def deep_values(image: Image.Image, source: Any) -> NDArray[Any]:
    """Values of an image with more than 8 bits: [H, W] of gray, uint16 [H, W, channels] of colours.

    Args:
        image: An open image.
        source: Where it was opened from: it is opened once more for the low bytes of colours.
    """
    if not is_deep_colour(image):
        return np.asarray(image)
    high = np.asarray(image)
    with Image.open(source) as again:
        again.tile = [tile._replace(args=_swapped(tile.args)) for tile in again.tile]
        return high.astype(np.uint16) << 8 | np.asarray(again)


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    args = tiles[0].args
    return str(args[0] if isinstance(args, tuple) and args else args)


def _swapped(args: Any) -> Any:
    raw, *rest = args if isinstance(args, tuple) else (args,)
    swapped = raw[:-3] + _SWAPPED[raw[-3:]]
    return (swapped, *rest) if isinstance(args, tuple) else swapped
