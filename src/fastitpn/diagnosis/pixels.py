"""Reads every image of a data set once: whether it decodes, its size, what is odd about it, and what it looks like."""

import dataclasses
import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat
from rich.console import Console
from rich.progress import track

from fastitpn.data.images.decode import decode_image, read_error, upright_size
from fastitpn.data.images.tar_members import file_bytes
from fastitpn.diagnosis.findings import Entry, Finding
from fastitpn.errors import InputError

THUMBNAIL_PX = 16
"""Side of the thumbnails that are compared."""
UNREADABLE = "unreadable image"
_DECODED_PX = 64
"""A JPEG is decoded no larger than this needs: that finds the same damage in a fraction of the time."""
_SMALLEST_PX = 32
_LONGEST_RATIO = 8
_BLANK = 2.0
"""Standard deviation of the values (0 to 255) of a thumbnail's channels below which nothing is on an image."""
_DARK = 32
"""Of 255: a picture without a brighter value is hardly to be seen."""
_FORMATS = {
    "JPEG": {".jpg", ".jpeg", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".jfif"},
    "PNG": {".png"},
    "GIF": {".gif"},
    "WEBP": {".webp"},
    "BMP": {".bmp"},
    "TIFF": {".tif", ".tiff"},
    "AVIF": {".avif", ".avifs"},
    "HEIF": {".heic", ".heics", ".heif", ".heifs", ".hif"},
    "JXL": {".jxl"},
    "JPEG2000": {".j2c", ".j2k", ".jp2", ".jpf", ".jpx"},
}
_SHOW_PROGRESS_FROM = 2000
_CHUNK = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """An image that was read.

    Attributes:
        entry: The image that was read.
        size: Width and height in pixels, upright.
        content: Fingerprint of the file's bytes.
        thumbnail: uint8 [16, 16, 3].
        values: Least and largest value of each channel, of 0 to 255, as a training reads them.
        findings: What is odd about it.
    """

    entry: Entry
    size: tuple[int, int]
    content: bytes
    thumbnail: NDArray[np.uint8]
    values: tuple[tuple[int, int], ...] = ((0, 255),) * 3
    findings: tuple[Finding, ...] = ()

    @property
    def is_blank(self) -> bool:
        """Nothing is on it that a thumbnail shows."""
        return float(self.thumbnail.reshape(-1, 3).std(0).max()) < _BLANK

    @property
    def darkest_and_brightest(self) -> tuple[int, int]:
        """Least and largest value of all channels."""
        return min(low for low, _ in self.values), max(high for _, high in self.values)


def look_at(entries: Sequence[Entry]) -> tuple[list[Look], list[Finding]]:
    """Read images, in threads; a progress bar is shown for long lists.

    Returns:
        Those that can be read, and what is wrong: with those that cannot, and with the others.
    """
    chunks = [entries[start : start + _CHUNK] for start in range(0, len(entries), _CHUNK)]
    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        console = Console(stderr=True)
        results = track(
            pool.map(lambda chunk: [_look(entry) for entry in chunk], chunks),
            "reading images",
            len(chunks),
            console=console,
            transient=True,
            disable=len(entries) < _SHOW_PROGRESS_FROM or not console.is_terminal,
        )
        outcomes = [result for chunk in results for result in chunk]
    looks = [result for result in outcomes if isinstance(result, Look)]
    unreadable = [result for result in outcomes if isinstance(result, Finding)]
    return looks, [*unreadable, *(finding for look in looks for finding in look.findings)]


def _look(entry: Entry) -> Look | Finding:
    try:
        content = file_bytes(entry.path)
        image = decode_image(content, where=str(entry.path), min_px=_DECODED_PX)
        size = upright_size(entry.path)
    except (InputError, OSError) as error:
        wrong = error if isinstance(error, InputError) else read_error(entry.path, error)
        return Finding(kind=UNREADABLE, what=wrong.what, files=(entry.path,), part=entry.part)
    thumbnail = np.asarray(image.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))
    look = Look(
        entry=entry,
        size=size,
        content=hashlib.blake2b(content).digest(),
        thumbnail=thumbnail,
        values=tuple(ImageStat.Stat(image).extrema),
        findings=(),
    )
    return dataclasses.replace(look, findings=tuple(_oddities(look, image, content)))


def _oddities(look: Look, picture: Image.Image, content: bytes) -> list[Finding]:
    (width, height), path = look.size, look.entry.path
    odd = []
    spread = max(ImageStat.Stat(picture).stddev) if look.is_blank else _BLANK  # noise has a plain thumbnail, too
    if all(low == high for low, high in look.values):
        odd.append(("blank image", f"all of it has one colour: {', '.join(str(low) for low, _ in look.values)}"))
    elif spread < _BLANK:
        low, high = look.darkest_and_brightest
        what = f"its values lie between {low} and {high} of 255, with a standard deviation of {spread:.1f}"
        odd.append(("nearly blank image", what))
    elif look.darkest_and_brightest[1] < _DARK:
        what = f"its brightest value is {look.darkest_and_brightest[1]} of 255"
        odd.append(("very dark image", what))
    if min(width, height) < _SMALLEST_PX:
        odd.append(("very small image", f"it is {width}x{height} px"))
    elif max(width, height) > _LONGEST_RATIO * min(width, height):
        odd.append(("very long image", f"it is {width}x{height} px"))
    with Image.open(io.BytesIO(content)) as image:  # it was decoded, so what plugin it needs is there
        kind, frames = image.format or "", getattr(image, "n_frames", 1)
    suffix = path.suffix.lower()
    if kind in _FORMATS and suffix not in _FORMATS[kind] and any(suffix in known for known in _FORMATS.values()):
        odd.append(("name of another format", f"it is a {kind}, not what its name says"))
    if frames > 1 and kind != "MPO":
        odd.append(("several pictures in one file", f"it has {frames}, of which the first is used"))
    return [Finding(kind=name, what=what, files=(path,), part=look.entry.part, problem=False) for name, what in odd]


def values_table(looks: Sequence[Look]) -> list[tuple[str, *tuple[float, ...]]]:
    """Smallest, 5th percentile, median, 95th percentile and largest of the images' values, of 0 to 255."""
    if not looks:
        return []
    columns = {
        "darkest value": [look.darkest_and_brightest[0] for look in looks],
        "mean value": [look.thumbnail.mean() for look in looks],
        "brightest value": [look.darkest_and_brightest[1] for look in looks],
    }
    return [(name, *np.quantile(values, (0, 0.05, 0.5, 0.95, 1)).tolist()) for name, values in columns.items()]


def sizes_table(looks: Sequence[Look]) -> list[tuple[str, *tuple[float, ...]]]:
    """Smallest, 5th percentile, median, 95th percentile and largest of the sizes."""
    if not looks:
        return []
    sizes = np.array([look.size for look in looks], dtype=np.float64)
    columns = {
        "width, px": sizes[:, 0],
        "height, px": sizes[:, 1],
        "shorter side, px": sizes.min(1),
        "megapixels": sizes.prod(1) / 1e6,
        "width / height": sizes[:, 0] / sizes[:, 1],
    }
    return [(name, *np.quantile(values, (0, 0.05, 0.5, 0.95, 1)).tolist()) for name, values in columns.items()]


def paths_of(looks: Sequence[Look]) -> tuple[Path, ...]:
    """Their files."""
    return tuple(look.entry.path for look in looks)
