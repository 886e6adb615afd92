"""WebDataset tar shards, read by number: each shard's table of contents is taken once, the images when they are due.

So a run over shards is as exact as one over files: any step can be the first, with any number of workers. The order
of an epoch goes through a few shards at a time (`group_sizes`), so that a disk or a network sees nearly sequential
reads.
"""

import logging
import os
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fastitpn.data.images.decode import EXTENSIONS, decode_image
from fastitpn.data.images.image_source import ImageSource, SourceKind
from fastitpn.errors import InputError

MOST_BROKEN = 20
"""Broken samples in a row that end the run: then it is the shard, not a sample."""

logger = logging.getLogger(__name__)


class _Contents(NamedTuple):
    """Images of one shard."""

    offsets: list[int]
    sizes: list[int]
    names: list[str]


def find_shards(path: Path) -> list[Path]:
    """The tar files of a folder (of its `train` if it has one), or the one tar file; empty if there are none."""
    if path.is_file():
        return [path] if path.suffix == ".tar" else []
    for folder in (path / "train", path):
        if folder.is_dir() and (shards := sorted(folder.glob("*.tar"))):
            return shards
    return []


class TarShards(ImageSource):
    """The images in tar files; other members (labels, captions) are passed over.

    A sample that cannot be decoded is reported in the log, and the next one takes its place.

    Args:
        shards: Uncompressed tar files.

    Raises:
        InputError: A shard is damaged, or there are no images.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        self._shards = list(shards)
        with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
            contents = list(pool.map(_read_contents, self._shards))
        counts = [len(content.offsets) for content in contents]
        if not sum(counts):
            raise InputError(
                f"no images in these {len(self._shards)} shards",
                where=self._shards[0].parent,
                expected=f"members ending in {' '.join(sorted(EXTENSIONS))}",
                fix="fastitpn data shard data=FOLDER out=SHARDS",
            )
        self.group_sizes = [count for count in counts if count]
        self._shard_of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._offsets = np.array([o for content in contents for o in content.offsets], dtype=np.int64)
        self._sizes = np.array([s for content in contents for s in content.sizes], dtype=np.int64)
        self._names = np.array([os.fsencode(n) for content in contents for n in content.names], dtype=np.bytes_)
        self._reported: set[int] = set()

    def __len__(self) -> int:
        return len(self._offsets)

    def name(self, index: int) -> str:
        """Shard and member."""
        return f"{self._shards[self._shard_of[index]].name}/{os.fsdecode(self._names[index])}"

    def read(self, index: int, *, min_px: int | None = None) -> Image.Image:
        """The image in RGB, or the next one that can be read."""
        for tried in range(MOST_BROKEN):
            number = (index + tried) % len(self)
            try:
                return self._decode(number, min_px)
            except InputError as error:
                last = error
                if number not in self._reported:
                    self._reported.add(number)
                    logger.warning("broken sample, the next one takes its place: %s: %s", error.where, error.what)
        raise InputError(
            f"{MOST_BROKEN} samples in a row are broken, the last one: {last.what}",
            where=self._shards[self._shard_of[index]],
            expected="images in the shard",
            fix="write or fetch this shard again, or move it away, then run the same command again",
        )

    def _decode(self, index: int, min_px: int | None) -> Image.Image:
        shard = self._shards[self._shard_of[index]]
        try:
            with open(shard, "rb") as file:
                file.seek(int(self._offsets[index]))
                content = file.read(int(self._sizes[index]))
        except OSError as error:
            raise InputError(f"the shard cannot be read: {error.strerror}", where=shard) from error
        return decode_image(content, where=f"{shard}, member {os.fsdecode(self._names[index])}", min_px=min_px)


def _read_contents(shard: Path) -> _Contents:
    """Where the images lie in a shard; only the headers are read."""
    contents = _Contents([], [], [])
    try:
        with tarfile.open(shard, "r:") as archive:
            size = shard.stat().st_size
            for member in archive:
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError("unexpected end of data")
                if member.isfile() and os.path.splitext(member.name)[1].lower() in EXTENSIONS:
                    contents.offsets.append(member.offset_data)
                    contents.sizes.append(member.size)
                    contents.names.append(member.name)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(
            f"this shard is damaged: {error}",
            where=shard,
            expected="a whole, uncompressed tar file",
            fix="write or fetch it again, or move it away, then run the same command again",
        ) from error
    return contents


KIND = SourceKind(
    recognise=lambda path: bool(find_shards(path)),
    open=lambda path: TarShards(find_shards(path)),
)
