"""Labels of the pixels of images with segments: PNGs whose colours are the ids of segments, and what these are."""

import copy
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.masks import Labels
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS, Codes, crowd_code, ids_of_colors, thing_code
from fastitpn.errors import InputError

EXPECTED = "COCO's panoptic format: annotations with file_name and segments_info, and a PNG for each image"


@dataclass(frozen=True, kw_only=True)
class PanopticImage:
    """An image and its segments.

    Attributes:
        path: File of the image.
        png: File of its segments, whose ids are red + 256 green + 65536 blue; 0 is none.
        names: Class of each segment by its id.
        crowds: Ids of those that are crowds.
    """

    path: Path
    png: Path
    names: dict[int, str]
    crowds: frozenset[int] = frozenset()


class PanopticLabels:
    """Labels or codes of the pixels of images with segments; pixels of none, of a crowd or of no class are left out.

    Args:
        images: Images, each with its file of segments.
        names: Names of the classes, in the order of their labels.
        things: Names of the classes whose things have a code each.
    """

    def __init__(self, images: Sequence[PanopticImage], names: Sequence[str], things: Collection[str] = ()) -> None:
        label_of = {name: label for label, name in enumerate(names)}
        codes = [code for image in images for code in _codes(image, label_of, things)]
        # In blocks of memory, which workers share, and not in objects, which each of them would copy.
        self._pngs = np.array([os.fsencode(image.png) for image in images], dtype=np.bytes_)
        self._first = np.cumsum([0, *(len(image.names) for image in images)])
        self._ids = np.array([number for image in images for number in image.names], dtype=np.int64)
        self._of_ids = np.array(codes, dtype=np.int32)

    def __len__(self) -> int:
        return len(self._pngs)

    def __call__(self, index: int) -> Labels:
        """Labels uint8 [H, W] of an image."""
        return (self.codes(index) & LABEL_BITS).astype(np.uint8)

    def select(self, places: Sequence[int]) -> "PanopticLabels":
        """Those of the images at these positions."""
        chosen, parts = copy.copy(self), [slice(self._first[place], self._first[place + 1]) for place in places]
        chosen._pngs = self._pngs[list(places)]
        chosen._first = np.cumsum([0, *(part.stop - part.start for part in parts)])
        chosen._ids = np.concatenate([self._ids[:0], *(self._ids[part] for part in parts)])
        chosen._of_ids = np.concatenate([self._of_ids[:0], *(self._of_ids[part] for part in parts)])
        return chosen

    @property
    def num_segments(self) -> list[int]:
        """How many things and kinds of stuff there are in each image; of those that are left out none."""
        codes = [self._of_ids[first:end] for first, end in pairwise(self._first)]
        return [len(np.unique(of_image[(of_image & LABEL_BITS) != IGNORE])) for of_image in codes]

    def codes(self, index: int) -> Codes:
        """Codes int32 [H, W] of an image, see `panoptic_codes`."""
        segments = slice(self._first[index], self._first[index + 1])
        code_of = dict(zip(self._ids[segments].tolist(), self._of_ids[segments].tolist(), strict=True))
        numbers, places = np.unique(read_segments(Path(os.fsdecode(self._pngs[index]))), return_inverse=True)
        return np.array([code_of.get(number, IGNORE) for number in numbers.tolist()], dtype=np.int32)[places]


def _codes(image: PanopticImage, label_of: dict[str, int], things: Collection[str]) -> Iterator[int]:
    """The code of each segment of an image."""
    for place, (number, name) in enumerate(image.names.items(), start=1):
        label = label_of.get(name, IGNORE)
        if number in image.crowds or label == IGNORE:
            yield crowd_code(label) if label != IGNORE else IGNORE
        else:
            yield thing_code(label, place) if name in things else label


def size_of_segments(png: Path) -> tuple[int, int]:
    """Width and height, from the header alone: a small file may hold more pixels than the memory.

    Raises:
        InputError: The file is missing, damaged, or no image.
    """
    with _opened(png) as image:
        return image.size


@contextmanager
def _opened(png: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(png) as image:
            yield image
    except MemoryError:
        raise
    except Exception as error:  # on a damaged file, Pillow's readers raise whatever their parser happens to hit
        what = (
            "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot read these segments: {error}"
        )
        raise InputError(what, where=png, expected=EXPECTED) from error


def read_segments(png: Path) -> NDArray[np.int32]:
    """The id of the segment of each pixel, [H, W].

    Raises:
        InputError: The file is missing, damaged, or no picture in RGB.
    """
    with _opened(png) as image:
        mode, pixels = image.mode, np.asarray(image)
    if mode in ("L", "I", "I;16", "I;16B", "I;16L"):
        return pixels.astype(np.int32)  # an id each, as programs write them that need no more than one channel
    if mode not in ("RGB", "RGBA"):
        raise InputError(f"these segments are of mode {mode}, not RGB", where=png, expected=EXPECTED)
    return ids_of_colors(pixels[..., :3])
