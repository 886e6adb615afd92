"""How images are read in this process: their range of values, and how large they may be."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from fastitpn.console import say
from fastitpn.data.images.keys import ImageKeys
from fastitpn.data.images.pixel_range import FULL, Content, FoundRange, PixelRange, find_range

ResultT = TypeVar("ResultT")

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How images are read.

    Attributes:
        range: Black and white of images with more than 8 bits.
        max_mpx: Largest image, in megapixels.
    """

    range: PixelRange = FULL
    max_mpx: float = ImageKeys().max_mpx

    @classmethod
    def of(cls, keys: ImageKeys) -> "Reading":
        """What a command asks for; with range=auto as much as is known before its images are."""
        return cls(range=PixelRange.parse(keys.range) or FULL, max_mpx=keys.max_mpx)


_current = [Reading()]


def current_reading() -> Reading:
    """How images are read now, by whom is not told otherwise."""
    return _current[-1]


@contextmanager
def reading(how: Reading) -> Iterator[None]:
    """Within it, images are read so in this process, and in those that it forks."""
    _current.append(how)
    try:
        yield
    finally:
        _current.pop()


def reads_images(run: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """Decorates a command's function: while it runs, images are read as its configuration's `image` says."""

    @wraps(run)
    def within(config: Any, *args: Any, **keys: Any) -> ResultT:
        with reading(Reading.of(config.image)):
            return run(config, *args, **keys)

    return within


def settle_range(keys: ImageKeys, images: Sequence[Path | Content], trained: str | None = None) -> str | None:
    """From here on in a `reads_images` function, images are read in the range of their data set; a line says so.

    Args:
        keys: What the command asks for.
        images: Those of its data: files, or what gives their bytes.
        trained: The range that the model was trained with, if it was one.

    Returns:
        The range as it is spelled, for the checkpoint; None if there are no images of more than 8 bits.
    """
    text: str | None = keys.range
    if keys.range == AUTO:
        text = trained
        if trained is None and (extent := find_range(images)) is not None:
            text = extent.text
            say(range_line(extent, extent.text))
    if len(_current) > 1:
        _current[-1] = replace(_current[-1], range=PixelRange.parse(text or "") or FULL)
    return text


def range_line(extent: FoundRange, text: str) -> str:
    """Values of a data set, and the range that they are read in."""
    return f"{extent}; image.range={text}: {PixelRange.parse(text) or FULL}"
