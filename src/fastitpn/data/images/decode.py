"""The one place that decodes images: any file a user may have becomes an upright 8-bit RGB picture, or an error."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as ExifTag
from PIL.Image import Transpose

from fastitpn.data.images.kinds import EXTENSIONS as EXTENSIONS
from fastitpn.errors import InputError

_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_SIDES_SWAPPED = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
_END_OF_FILE = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
_TAIL_BYTES = 64


def read_image(path: str | os.PathLike[str], *, min_px: int | None = None) -> Image.Image:
    """Decodes one image file.

    Args:
        path: The file. Of an animation or a multi-page file the first picture is read.
        min_px: If given, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size (much faster), but never so that its
            shorter side falls below this. Leave it out where exact pixels count.

    Returns:
        Image in mode RGB, upright, in memory, without metadata.

    Raises:
        InputError: The file is missing, is not an image, is damaged, or is truncated.
    """
    try:
        with Image.open(path) as image:
            if min_px is not None:
                image.draft(None, (min_px, min_px))
            return to_rgb(image)
    except Exception as error:  # On a damaged file, Pillow's readers raise whatever their parser happens to hit.
        raise _read_error(path, error) from error


def decode_image(content: bytes, *, where: str, min_px: int | None = None) -> Image.Image:
    """Decodes one image that was read from somewhere else than a file of its own.

    Args:
        content: Bytes of an image file.
        where: It came from, for messages.
        min_px: Least shorter side of a JPEG that is decoded at a reduced size; None decodes it in full.

    Raises:
        InputError: It is no image, is damaged, or is truncated.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if min_px is not None:
                image.draft(None, (min_px, min_px))
            return to_rgb(image)
    except Exception as error:
        known = isinstance(error, UnidentifiedImageError)
        reason = ("not an image in a known format" if content else "it is empty") if known else str(error)
        raise InputError(
            f"cannot read this image: {error.what if isinstance(error, InputError) else reason}",
            where=where,
            expected="a complete image file (JPEG, PNG, WebP, TIFF, BMP, GIF ...)",
            fix="leave it out of the data set",
        ) from error


def verify_image(path: str | os.PathLike[str]) -> None:
    """Checks one image file as cheaply as its format allows.

    The header is read, and a JPEG or PNG must have its end marker; a file without one, or in another format, is
    decoded. Damage in the middle of a file is left to `read_image`.

    Raises:
        InputError: It is no image, is damaged, or is truncated.
    """
    try:
        with open(path, "rb") as file, Image.open(file) as image:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            end = _END_OF_FILE.get(image.format or "")
            if end is not None and end in file.read():
                return
    except Exception as error:
        raise _read_error(path, error) from error
    read_image(path)


def upright_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height that `read_image` would give, from the header alone.

    Raises:
        InputError: It is no image, is damaged, or is truncated.
    """
    try:
        with Image.open(path) as image:
            turned = _UPRIGHT.get(_orientation(image)) in _SIDES_SWAPPED
            return (image.height, image.width) if turned else image.size
    except Exception as error:
        raise _read_error(path, error) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Turns any Pillow image into upright 8-bit RGB.

    The EXIF rotation is applied; transparency is laid on white; palette, grayscale and CMYK are converted; 16-bit
    values are scaled from 0..65535 to 0..255; float values are taken as 0..1, or as 0..255 if any is above 1.

    Args:
        image: Image in any mode; it is not changed.

    Raises:
        InputError: Values outside these ranges, or a mode that has no RGB form.
    """
    image.load()  # Pillow decodes a PNG to find its EXIF block: damage that shows there would be lost with the block.
    transpose = _UPRIGHT.get(_orientation(image))
    if transpose is not None:
        image = image.transpose(transpose)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    rgb = image.convert("RGB")  # A copy if it is RGB already: the caller's image stays as it is.
    rgb.info = {}  # Its EXIF block still has the rotation that has just been applied.
    return rgb


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTag.Orientation, 1))
    except Exception:  # A damaged EXIF block must not cost a picture whose pixels are fine.
        return 1


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Scales 16-bit integers or floats [H, W] to uint8 [H, W]."""
    low, high = values.min(), values.max()
    limit = 65535 if values.dtype.kind in "iu" else 255
    if not (low >= 0 and high <= limit):  # Written so that NaN fails too.
        raise InputError(
            f"pixel values run from {low} to {high}",
            expected=f"values from 0 to {limit}",
            fix="convert it to 8 bits per channel",
        )
    if values.dtype.kind in "iu":
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.rint(values * (255.0 if high <= 1 else 1.0)).astype(np.uint8)


def _read_error(path: str | os.PathLike[str], error: Exception) -> InputError:
    path = Path(path)
    expected = "a complete image file (JPEG, PNG, WebP, TIFF, BMP, GIF ...)"
    fix = "replace or delete this file, then run the same command again"
    if isinstance(error, InputError):
        return InputError(f"cannot use this image: {error.what}", where=path, expected=error.expected, fix=error.fix)
    if isinstance(error, FileNotFoundError):
        return InputError("this image file does not exist", where=path, expected=expected, fix="check the path")
    if isinstance(error, IsADirectoryError):
        return InputError(
            "this is a folder, not an image", where=path, expected=expected, fix="give the path of a file"
        )
    if isinstance(error, UnidentifiedImageError):
        reason = "not an image in a known format" if path.stat().st_size else "the file is empty"
    else:
        reason = str(error) or type(error).__name__
    return InputError(f"cannot read this image: {reason}", where=path, expected=expected, fix=fix)
