"""Where the images of a data set lie: files, tar shards, or a Hugging Face data set. All are read by their number."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fastitpn.data.images.decode import read_image
from fastitpn.data.images.folders import image_names, unlabelled


class ImageSource:
    """Images by number.

    Attributes:
        group_sizes: Numbers of images that lie together and are best read together; None where it does not matter.
    """

    group_sizes: Sequence[int] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def name(self, index: int) -> str:
        """A name that stays the same when the data is moved."""
        raise NotImplementedError

    def read(self, index: int, *, min_px: int | None = None) -> Image.Image:
        """The image in RGB; `min_px` as in `read_image`.

        Raises:
            InputError: It cannot be read.
        """
        raise NotImplementedError


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

    def path(self, index: int) -> Path:
        """The file of the image."""
        return Path(os.fsdecode(self._paths[index]))

    def name(self, index: int) -> str:
        """Its path within the folder of the data."""
        path = self.path(index)
        return str(path) if self._data is None else image_names([path], self._data)[0]

    def read(self, index: int, *, min_px: int | None = None) -> Image.Image:
        """The image in RGB."""
        return read_image(self.path(index), min_px=min_px)


def as_source(images: ImageSource | Sequence[Path]) -> ImageSource:
    """A source of images that may be given as a list of files."""
    return images if isinstance(images, ImageSource) else FileSource(images)


def open_images(data: str | os.PathLike[str]) -> ImageSource:
    """The images for pre-training, whatever holds them.

    Args:
        data: A folder of images or a list (see `unlabelled`), a folder of tar shards or one of them, or a folder that
            Hugging Face's `save_to_disk` wrote.

    Raises:
        InputError: Nothing usable is there; the message says what and where.
    """
    from fastitpn.data.images.hugging_face import HuggingFaceImages, is_hugging_face
    from fastitpn.data.images.tar_shards import TarShards, find_shards

    path = Path(data)
    if is_hugging_face(path):
        return HuggingFaceImages(path)
    shards = find_shards(path)
    return TarShards(shards) if shards else FileSource(unlabelled(path), path)
