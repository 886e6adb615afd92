"""Where the images of a data set lie: tar shards, a Hugging Face data set, by name; else files."""

import os
from pathlib import Path

from fastitpn.data.images.folders import unlabelled
from fastitpn.data.images.image_source import FileSource, ImageSource, SourceKind
from fastitpn.registry import Registry

SOURCES: Registry[SourceKind] = Registry(
    "image source",
    {
        "hugging_face": "fastitpn.data.images.hugging_face:KIND",
        "tar_shards": "fastitpn.data.images.tar_shards:KIND",
    },
)
"""Asked in this order whether data is theirs; all other data is files."""


def open_images(data: str | os.PathLike[str]) -> ImageSource:
    """The images for pre-training, whatever holds them.

    Args:
        data: A folder of images or a list (see `unlabelled`), a folder of tar shards or one of them, or a folder that
            Hugging Face's `save_to_disk` wrote.

    Raises:
        InputError: Nothing usable is there; the message says what and where.
    """
    path = Path(data)
    kind = next((SOURCES[name] for name in SOURCES if SOURCES[name].recognise(path)), None)
    return kind.open(path) if kind else FileSource(unlabelled(path), path)
