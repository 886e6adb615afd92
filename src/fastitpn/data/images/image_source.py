"""Images by number, wherever they lie: what a source of them is, and files as the plainest one."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from fastitpn.data.images.decode import read_image
from fastitpn.data.images.folders import image_names
from fastitpn.data.images.pixel_range import Content, may_be_deep
from fastitpn.data.images.reading import Reading


class ImageSource:
    """Images by number.

    Attributes:
        group_sizes: Numbers of images that lie together and are best read together; None where it does not matter.
    """

    group_sizes: Sequence[int] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def files(self) -> Sequence[Path]:
        """The files that they lie in; empty if they lie in none."""
        return ()

    def name(self, index: int) -> str:
        """A name that stays the same when the data is moved."""
        raise NotImplementedError

    def content(self, index: int) -> bytes:
        """The bytes of the image's file.

        Raises:
            InputError: They cannot be read.
        """
        raise NotImplementedError

    def some(self, most: int = 2000) -> Sequence[Path | Content]:
        """Images spread over all of them, to see what range their values have."""
        places = range(0, len(self), max(1, -(-len(self) // most)))
        return [partial(self.content, place) for place in places if may_be_deep(PurePath(self.name(place)))]

    def read(self, index: int, *, min_px: int | None = None, how: Reading | None = None) -> Image.Image:
        """The image in RGB; `min_px` and `how` as in `read_image`.

        Raises:
            InputError: It cannot be read.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """A kind of source. A new one is a file with such an object, and a line in the registry.

    Attributes:
        recognise: Whether a file or folder holds one.
        open: Gives it.
    """

    recognise: Callable[[Path], bool]
    open: Callable[[Path], ImageSource]


class FileSource(ImageSource):
    """Image files.

    Args:
        paths: In the order of the data set.
        data: Folder that their names begin at; None takes their whole paths as names.
    """

    def __init__(self, paths: Sequence[Path], data: Path | None = None) -> None:
        # One block: a million Path objects would be copied into every worker's memory as their reference counts change.
        self._paths = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
        self._data = data

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def files(self) -> list[Path]:
        """One for each image."""
        return [self.path(index) for index in range(len(self))]

    def some(self, most: int = 2000) -> Sequence[Path | Content]:
        """All of them: those that are looked at are chosen by their names."""
        return self.files

    def path(self, index: int) -> Path:
        """The file of the image."""
        return Path(os.fsdecode(self._paths[index]))

    def name(self, index: int) -> str:
        """Its path within the folder of the data."""
        path = self.path(index)
        return str(path) if self._data is None else image_names([path], self._data)[0]

    def read(self, index: int, *, min_px: int | None = None, how: Reading | None = None) -> Image.Image:
        """The image in RGB."""
        return read_image(self.path(index), min_px=min_px, how=how)


def as_source(images: ImageSource | Sequence[Path]) -> ImageSource:
    """A source of images that may be given as a list of files."""
    return images if isinstance(images, ImageSource) else FileSource(images)
