"""WebDataset tar shards, read by number: each shard's table of contents is taken once, the images when they are due.

So a run over shards is as exact as one over files: any step can be the first, with any number of workers. The order
of an epoch goes through a few shards at a time (`group_sizes`), so that a disk or a network sees nearly sequential
reads.
"""

import logging
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from fastitpn.console import say
from fastitpn.data.debris import is_left_out
from fastitpn.data.images.decode import EXTENSIONS, decode_image
from fastitpn.data.images.folders import has_images
from fastitpn.data.images.image_source import ImageSource, SourceKind
from fastitpn.data.images.reading import Reading
from fastitpn.data.images.tar_members import read_members
from fastitpn.data.parts import data_parts, part_of
from fastitpn.errors import InputError
from fastitpn.listing import matching

_PICTURES = ("jpg", "jpeg", "image", "img", "rgb", "input", "webp", "png")
"""Kinds of members that are the picture of a sample, the first of them first; others may be masks or depths."""
MOST_BROKEN = 20
"""Broken samples in a row that end the run: then it is the shard, not a sample."""

logger = logging.getLogger(__name__)


class _Contents(NamedTuple):
    """Images of one shard."""

    offsets: list[int]
    sizes: list[int]
    names: list[str]
    others: int = 0
    """Pictures of the same samples, such as masks, that are left out."""


def find_shards(path: Path) -> list[Path]:
    """The tar files of a folder (of its part train if it has one), or the one tar file; empty if there are none."""
    if path.is_file():
        return [path] if path.suffix == ".tar" else []
    train = [folder for part, folder in data_parts(path).items() if part == "train"]
    for folder in (*train, path):
        if folder.is_dir() and (shards := _shards_in(folder)):
            return shards
    return []


def _shards_in(folder: Path) -> list[Path]:
    """The shards to train on: those that are not named after val or test, if any others are there."""
    shards = all_shards(folder)
    return [path for path in shards if part_of_shard(path) not in ("val", "test")] or shards


def all_shards(folder: Path) -> list[Path]:
    """The tar files in a folder."""
    return sorted(path for path in matching(folder, "*.tar") if path.is_file() and not is_left_out(path.name))


def part_of_shard(shard: Path) -> str | None:
    """The part that a shard is named after, such as val of imagenet-val-000012.tar."""
    words = re.split(r"[^A-Za-z]+", shard.stem)
    return next((part for word in words if (part := part_of(word))), None)


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
        if others := sum(content.others for content in contents):
            say(f"{others} images in the shards are not used: one image of each sample is, such as its .jpg")
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

    @property
    def files(self) -> list[Path]:
        """The shards."""
        return self._shards

    def name(self, index: int) -> str:
        """Shard and member."""
        return f"{self._shards[self._shard_of[index]].name}/{os.fsdecode(self._names[index])}"

    def read(self, index: int, *, min_px: int | None = None, how: Reading | None = None) -> Image.Image:
        """The image in RGB, or the next one that can be read."""
        for tried in range(MOST_BROKEN):
            number = (index + tried) % len(self)
            try:
                return self._decode(number, min_px, how)
            except InputError as error:
                last = error
                if number not in self._reported:
                    self._reported.add(number)
                    logger.warning("broken sample, replaced by the next: %s: %s", error.where, error.what)
        raise InputError(
            f"{MOST_BROKEN} samples in a row are broken, the last one: {last.what}",
            where=self._shards[self._shard_of[index]],
            expected="images in the shard",
            fix="write or fetch this shard again, or move it away, then run the same command again",
        )

    def content(self, index: int) -> bytes:
        """The bytes of a member."""
        shard = self._shards[self._shard_of[index]]
        try:
            with open(shard, "rb") as file:
                file.seek(int(self._offsets[index]))
                return file.read(int(self._sizes[index]))
        except OSError as error:
            raise InputError(f"the shard cannot be read: {error.strerror}", where=shard) from error

    def _decode(self, index: int, min_px: int | None, how: Reading | None) -> Image.Image:
        where = f"{self._shards[self._shard_of[index]]}, member {os.fsdecode(self._names[index])}"
        return decode_image(self.content(index), where=where, min_px=min_px, how=how)


def _read_contents(shard: Path) -> _Contents:
    """Where the images lie in a shard, one of each sample; only the headers are read."""
    table = read_members(shard)
    chosen = sorted(picture_names(table), key=lambda name: table[name].offset)
    return _Contents(
        [table[name].offset for name in chosen],
        [table[name].size for name in chosen],
        chosen,
        sum(map(_is_image, table)) - len(chosen),
    )


def picture_names(names: Iterable[str]) -> list[str]:
    """Those members of a shard that are pictures, one of each sample."""
    pictures: dict[str, list[tuple[int, str]]] = {}
    for name in filter(_is_image, names):
        pictures.setdefault(sample_of(name)[0], []).append((_rank(name), name))
    chosen: list[str] = []
    for of_sample in pictures.values():
        rank, first = min(of_sample, key=lambda picture: picture[0])
        # Dots in plain names, such as 2024.01.02.jpg, make no samples: there must be a picture that is known as such.
        chosen += [name for _, name in of_sample] if rank == len(_PICTURES) else [first]
    return chosen


def _is_image(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not any(map(is_left_out, parts))


def sample_of(name: str) -> tuple[str, str]:
    """The sample that a member belongs to, `a/12` of a/12.seg.png as WebDataset has it, and its kind, `seg.png`."""
    folder, _, file = name.rpartition("/")
    stem, _, kind = file.partition(".")
    return f"{folder}/{stem}", kind


def _rank(name: str) -> int:
    """How certainly a member is the picture of its sample; the first is the most certain."""
    kind = f"{sample_of(name)[1].lower()}."
    return next((rank for rank, known in enumerate(_PICTURES) if kind.startswith(f"{known}.")), len(_PICTURES))


def _recognise(path: Path) -> bool:
    """Whether there are shards, and no images beside them; with some, a shard must have images, too."""
    shards = find_shards(path)
    if not shards or path.is_file() or not has_images(shards[0].parent):
        return bool(shards)
    names = ", ".join(shard.name for shard in shards[:20])
    if any(_read_contents(shard).names for shard in shards[:20]):
        say(f"the images in {names} are trained on; those beside them in {shards[0].parent} are not")
        return True
    say(f"{names}: there are no images in it, so it is left out")
    return False


def _open(path: Path) -> TarShards:
    shards = find_shards(path)
    if path.is_dir() and (others := len(all_shards(shards[0].parent)) - len(shards)):
        say(f"{others} of {others + len(shards)} shards are named after val or test: they are not trained on")
    return TarShards(shards)


KIND = SourceKind(recognise=_recognise, open=_open)
