"""The one place that decodes images: any file a user may have becomes an upright 8-bit RGB picture, or an error."""

import io
import os
import warnings
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as ExifTag
from PIL.Image import Transpose

from fastitpn.data.images.kinds import EXTENSIONS as EXTENSIONS
from fastitpn.data.images.pixel_range import FULL, PixelRange, deep_values, is_deep, is_deep_colour
from fastitpn.data.images.reading import Reading, current_reading
from fastitpn.data.images.signatures import HEAD_BYTES, identify
from fastitpn.data.images.tar_members import file_bytes, read_member
from fastitpn.errors import InputError

warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged metadata and the like: what matters is an error here

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
_DEFLATE_RATIO = 1032
"""Bytes that one byte of a deflated stream, such as a PNG's pixels, stands for at most."""
_EXPECTED = "a complete image file (JPEG, PNG, WebP, TIFF, BMP, GIF ...)"
_BY_CONTENT = (UnidentifiedImageError, RuntimeError)
"""Errors that say nothing of the file: of Pillow, and of the plugin for JPEG XL."""


def read_image(path: str | os.PathLike[str], *, min_px: int | None = None, how: Reading | None = None) -> Image.Image:
    """Decodes one image file.

    Args:
        path: The file, or a member of a tar file such as `00.tar/1.jpg`. Of an animation or a multi-page file the
            first picture is read.
        min_px: If given, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size (much faster), but never so that its
            shorter side falls below this. Leave it out where exact pixels count.
        how: Range of values and largest size; None: as the command that runs reads images.

    Returns:
        Image in mode RGB, upright, in memory, without metadata.

    Raises:
        InputError: The file is missing, is not an image, is damaged, is truncated, is too large, or has values outside
            of the range.
    """
    try:
        member = read_member(path)
        source = os.fspath(path) if member is None else io.BytesIO(member)
        return _decode(source, min_px, how or current_reading())
    except Exception as error:  # On a damaged file, Pillow's readers raise whatever their parser happens to hit.
        raise read_error(path, error) from error


def decode_image(content: bytes, *, where: str, min_px: int | None = None, how: Reading | None = None) -> Image.Image:
    """Decodes one image that was read from somewhere else than a file of its own.

    Args:
        content: Bytes of an image file.
        where: It came from, for messages.
        min_px: Least shorter side of a JPEG that is decoded at a reduced size; None decodes it in full.
        how: Range of values and largest size; None: as the command that runs reads images.

    Raises:
        InputError: What `read_image` raises.
    """
    try:
        return _decode(io.BytesIO(content), min_px, how or current_reading())
    except Exception as error:
        raise _content_error(error, content[:HEAD_BYTES], where, "leave it out of the data set") from error


def _decode(source: str | IO[bytes], min_px: int | None, how: Reading) -> Image.Image:
    with _open(source, how.max_mpx) as image:
        if min_px is not None:
            image.draft(None, (min_px, min_px))
        if how.range != FULL and is_deep_colour(image):
            return to_rgb(_colours(image, source, how.range), orientation=_orientation(image))
        return to_rgb(image, how.range)


def _open(source: str | IO[bytes], max_mpx: float) -> Image.Image:
    """Opens an image, with the plugins if it needs one."""
    try:
        image = Image.open(source)
    except UnidentifiedImageError:
        if not _register_plugins():
            raise
        image = Image.open(source)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        image = Image.open(source)
        if image.width * image.height > max_mpx * 1e6:
            Image.MAX_IMAGE_PIXELS = limit  # else it stays off: a crop of such an image is as large
    mpx = image.width * image.height / 1e6
    if mpx > max_mpx:
        image.close()
        raise InputError(
            f"it has {mpx:,.0f} megapixels ({image.width}x{image.height} px), more than image.max_mpx={max_mpx:g}",
            expected=f"at most {max_mpx:g} megapixels, so that no file fills the memory",
            fix=f"image.max_mpx={int(mpx) + 1} if it is what it should be",
        )
    if image.format == "PNG" and (size := _size(source)) * _DEFLATE_RATIO < image.height * (1 + image.width // 8):
        image.close()
        raise InputError(
            f"it says that it has {image.width}x{image.height} px, which do not fit into its {size:,} bytes",
            expected="a complete image file",
        )
    return image


def _size(source: str | IO[bytes]) -> int:
    """Bytes of a file."""
    if isinstance(source, str):
        return os.path.getsize(source)
    place = source.tell()
    size = source.seek(0, os.SEEK_END)
    source.seek(place)
    return size


@cache
def _register_plugins() -> bool:
    """Makes Pillow know the formats of the plugins that are installed; whether there are any."""
    if heif := find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()
    if jxl := find_spec("pillow_jxl") is not None:
        import pillow_jxl  # noqa: F401  # which registers itself
    return heif or jxl


def verify_image(path: str | os.PathLike[str]) -> None:
    """Checks one image file as cheaply as its format allows.

    The header is read, and a JPEG or PNG must have its end marker; a file without one, or in another format, is
    decoded. Damage in the middle of a file is left to `read_image`.

    Raises:
        InputError: It is no image, is damaged, or is truncated.
    """
    try:
        member = read_member(path)
        with (
            open(path, "rb") if member is None else io.BytesIO(member) as file,
            _open(file, current_reading().max_mpx) as image,
        ):
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            end = _END_OF_FILE.get(image.format or "")
            if end is not None and end in file.read():
                return
    except Exception as error:
        raise read_error(path, error) from error
    read_image(path)


def upright_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height that `read_image` would give, from the header alone.

    Raises:
        InputError: It is no image, is damaged, or is truncated.
    """
    try:
        member = read_member(path)
        source = os.fspath(path) if member is None else io.BytesIO(member)
        with _open(source, current_reading().max_mpx) as image:
            turned = _UPRIGHT.get(_orientation(image)) in _SIDES_SWAPPED
            return (image.height, image.width) if turned else image.size
    except Exception as error:
        raise read_error(path, error) from error


def to_rgb(image: Image.Image, range: PixelRange = FULL, *, orientation: int | None = None) -> Image.Image:
    """Turns any Pillow image into upright 8-bit RGB.

    The EXIF rotation is applied; transparency is laid on white; palette, grayscale and CMYK are converted; values of
    more than 8 bits are scaled from their range to 0..255.

    Args:
        image: Image in any mode; it is not changed.
        range: Black and white of gray images with more than 8 bits.
        orientation: EXIF orientation; None takes the image's own.

    Raises:
        InputError: Values outside of the range, or a mode that has no RGB form.
    """
    image.load()  # Pillow decodes a PNG to find its EXIF block: damage that shows there would be lost with the block.
    transpose = _UPRIGHT.get(orientation or _orientation(image))
    if transpose is not None:
        image = image.transpose(transpose)
    if is_deep(image):
        image = Image.fromarray(range.to_8_bit(deep_values(image, None)))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    rgb = image.convert("RGB")  # A copy if it is RGB already: the caller's image stays as it is.
    rgb.info = {}  # Its EXIF block still has the rotation that has just been applied.
    return rgb


def _colours(image: Image.Image, source: str | IO[bytes], range: PixelRange) -> Image.Image:
    """8 bits of an image in colours of 16 bits, whose range is not all of them."""
    values = deep_values(image, source)
    pixels = range.to_8_bit(values[..., :3])
    if values.shape[-1] > 3:  # opaque is all of 16 bits in some files, and the sensor's largest value in others
        pixels = np.dstack([pixels, replace(range, cut=True).to_8_bit(values[..., 3])])
    return Image.frombytes(image.mode, image.size, pixels.tobytes())


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTag.Orientation, 1))
    except Exception:  # A damaged EXIF block must not cost a picture whose pixels are fine.
        return 1


def read_error(path: str | os.PathLike[str], error: Exception) -> InputError:
    """What is wrong with a file, of what was raised when it was read as an image.

    Raises:
        MemoryError: That was raised, which says nothing of the file.
    """
    path = Path(path)
    fix = "replace or delete this file, then run the same command again"
    if isinstance(error, FileNotFoundError):
        what = "this image file does not exist"
        if path.is_symlink():
            what = f"this is a link to a file that does not exist: {os.readlink(path)}"
        return InputError(what, where=path, expected=_EXPECTED, fix="check the path")
    if isinstance(error, IsADirectoryError):
        return InputError(
            "this is a folder, not an image", where=path, expected=_EXPECTED, fix="give the path of a file"
        )
    head = b""
    if isinstance(error, _BY_CONTENT):
        head = file_bytes(path, HEAD_BYTES)
    return _content_error(error, head, path, fix)


def _content_error(error: Exception, head: bytes, where: str | Path, fix: str) -> InputError:
    """What is wrong with an image that is there."""
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, InputError):
        return InputError(
            f"cannot use this image: {error.what}", where=where, expected=error.expected, fix=error.fix or fix
        )
    if isinstance(error, _BY_CONTENT):
        file = identify(head)
        return InputError(f"cannot read this image: {file}", where=where, expected=_EXPECTED, fix=file.fix or fix)
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"cannot read this image: {reason}", where=where, expected=_EXPECTED, fix=fix)
