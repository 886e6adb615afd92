"""Files of masks as they are on the disk: a number for each pixel, or a colour."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from fastitpn.errors import InputError

EXPECTED = "an index mask: a PNG, gray or with a palette, whose pixels are the numbers of their classes"
_SPREAD = {"L;2": 85, "L;4": 17}
"""Pillow spreads the numbers of PNGs with 2 and 4 bits over 0..255."""
_NUMBERS = ("1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L")
_COLORS = ("RGB", "RGBA", "LA", "PA")
_MOST_COLORS = 1024
_CHANNELS = np.array([1 << 16, 1 << 8, 1], dtype=np.int32)

Color = tuple[int, int, int]


class MaskError(InputError):
    """A mask or its image cannot be used.

    Args:
        kind: Words that all such errors share, to count by.
        what: What is wrong with this one.
        where: The file.
        expected: What would have been right.
        fix: What to do.
    """

    def __init__(self, kind: str, what: str, *, where: object, expected: str | None = None, fix: str | None = None):
        self.kind = kind
        super().__init__(what, where=where, expected=expected, fix=fix)


@dataclass(frozen=True, kw_only=True)
class MaskContent:
    """What a mask holds.

    Attributes:
        size: Width and height.
        numbers: Pixels by number; empty where there are colours.
        colors: Pixels by packed colour; empty where there are numbers.
        palette: Of a mask with a palette, the packed colour of each number that it holds.
    """

    size: tuple[int, int]
    numbers: Mapping[int, int] = field(default_factory=dict)
    colors: Mapping[int, int] = field(default_factory=dict)
    palette: Mapping[int, int] = field(default_factory=dict)

    def as_colors(self) -> dict[int, int]:
        """Pixels by packed colour, of a mask with colours or a palette."""
        counts = Counter(self.colors)
        for number, pixels in self.numbers.items():
            counts[self.palette.get(number, 0)] += pixels  # Pillow shows what is not in a palette in black
        return dict(counts)


def packed(color: Color) -> int:
    """A colour as one number, 0xrrggbb."""
    return color[0] << 16 | color[1] << 8 | color[2]


def unpacked(color: int) -> Color:
    """The way back."""
    return color >> 16, color >> 8 & 255, color & 255


def is_gray(color: int) -> bool:
    """Whether a packed colour has three equal parts."""
    return color == (color & 255) * 0x010101


def mask_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of a mask, from the header alone: a small file may hold more pixels than the memory.

    Raises:
        MaskError: The file is missing, damaged, or no image.
    """
    with _opened(Path(path)) as image:
        return image.size


def read_mask(path: str | os.PathLike[str], *, palette_as_colors: bool = False) -> tuple[NDArray[np.int32], bool]:
    """Numbers or packed colours [H, W] of a mask, and whether they are colours.

    Args:
        path: A mask: gray of 1 to 32 bits, with a palette, or RGB; an alpha channel has to be opaque.
        palette_as_colors: Take the colours of a palette, and not the places in it.

    Raises:
        MaskError: The file is missing, damaged, a JPEG, transparent, or of another mode.
    """
    pixels, colors, _ = _read(Path(path), palette_as_colors)
    return pixels, colors


def read_index_mask(path: str | os.PathLike[str]) -> NDArray[np.integer]:
    """Numbers [H, W] of an index mask; three equal channels are one number.

    Raises:
        MaskError: The file is missing, damaged, or holds colours instead of numbers.
    """
    pixels, colors = read_mask(path)
    if not colors:
        return pixels
    gray = pixels & 255
    if (pixels != gray * 0x010101).any():
        raise MaskError(
            "colour mask",
            "this mask holds colours, not numbers of classes",
            where=Path(path),
            expected=EXPECTED,
            fix="save it as an index mask: to each colour the number of its class, mode L or P",
        )
    return gray


def look_at_mask(path: Path) -> MaskContent:
    """What a mask holds, by numbers or colours.

    Raises:
        MaskError: As `read_mask`, or there are so many colours that it is a picture.
    """
    pixels, colors, palette = _read(path, False)
    size = pixels.shape[1], pixels.shape[0]
    counts = _counts(pixels, colors)
    if not colors:
        return MaskContent(size=size, numbers=counts, palette={n: palette[n] for n in counts if n in palette})
    if len(counts) > _MOST_COLORS:
        raise MaskError(
            "colour mask",
            f"this mask has {len(counts):,} colours, as a picture has, or one that was smoothed",
            where=path,
            expected=EXPECTED,
            fix="save the masks as PNG from where they were drawn, without smoothing",
        )
    return MaskContent(size=size, colors=counts)


def _counts(pixels: NDArray[np.int32], colors: bool) -> dict[int, int]:
    """Pixels by value."""
    if not colors and pixels.size and pixels.min() >= 0 and pixels.max() < 2**16:
        counts = np.bincount(pixels.ravel())
        return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}
    values, counts = np.unique(pixels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _read(path: Path, palette_as_colors: bool) -> tuple[NDArray[np.int32], bool, dict[int, int]]:
    """Numbers or packed colours, whether they are colours, and the palette by number, if there is one."""
    with _opened(path) as image:
        mode, kind = image.mode, f"a {image.format} of mode {image.mode}"
        if image.format in ("JPEG", "MPO"):
            raise MaskError(
                "JPEG mask",
                "this mask is a JPEG, whose numbers are not those that were saved",
                where=path,
                expected=EXPECTED,
                fix="save the masks as PNG from where they were drawn",
            )
        raw_mode = str(image.tile[0].args) if image.tile else ""
        palette = _palette(image)
        as_colors = palette_as_colors and mode == "P"
        pixels = np.asarray(image.convert("RGB") if as_colors else image)
    if as_colors or mode in _COLORS:
        return _colors(pixels, "RGB" if as_colors else mode, path), True, {}
    if mode not in _NUMBERS or (mode == "F" and not (np.rint(pixels) == pixels).all()):
        raise MaskError(
            "mask of another kind",
            f"this mask is {kind}: it holds colours or fractions, not numbers of classes",
            where=path,
            expected=EXPECTED,
            fix="save it as an index mask: to each colour the number of its class, mode L or P",
        )
    if mode == "F":
        pixels = pixels.clip(-(2.0**24), 2.0**24)  # more is no class anyway
    numbers = pixels.astype(np.int32)
    return (numbers // _SPREAD[raw_mode] if mode == "L" and raw_mode in _SPREAD else numbers), False, palette


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    try:
        with Image.open(path) as image:
            yield image
    except (InputError, MemoryError):
        raise
    except Exception as error:  # on a damaged file, Pillow's readers raise whatever their parser happens to hit
        reason = "not an image in a known format" if isinstance(error, UnidentifiedImageError) else str(error)
        if isinstance(error, FileNotFoundError):
            reason = "there is no such file"
        raise MaskError(
            "mask that cannot be read",
            f"cannot read this mask: {reason}",
            where=path,
            expected=EXPECTED,
            fix="replace this file",
        ) from error


def _palette(image: Image.Image) -> dict[int, int]:
    if image.mode != "P":
        return {}
    colors = image.getpalette("RGB") or []
    return {place: packed((r, g, b)) for place, (r, g, b) in enumerate(zip(*[iter(colors)] * 3, strict=False))}


def _colors(pixels: NDArray[np.uint8], mode: str, path: Path) -> NDArray[np.int32]:
    """Packed colours of pixels with three channels, or one, and perhaps a fourth that has to be opaque."""
    if mode != "RGB" and (clear := int((pixels[..., -1] < 255).sum())):
        raise MaskError(
            "transparent mask",
            f"{clear:,} pixels of this mask are transparent, so that their class is not known",
            where=path,
            expected=f"{EXPECTED}, or an opaque one with a colour for each class",
            fix="save it without transparency",
        )
    if mode in ("LA", "PA"):
        return pixels[..., 0].astype(np.int32) * 0x010101
    return pixels[..., :3].astype(np.int32) @ _CHANNELS
