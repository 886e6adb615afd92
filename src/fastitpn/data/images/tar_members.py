"""Members of tar files by paths such as `shards/00.tar/a/1.jpg`, as if a tar file were a folder."""

import os
import tarfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastitpn.errors import InputError

_SUFFIX = ".tar"


class Member(NamedTuple):
    """Where the content of a member lies in its tar file, in bytes."""

    offset: int
    size: int


def read_member(path: str | os.PathLike[str]) -> bytes | None:
    """The bytes of a member; None if the path is that of a file or of nothing.

    Raises:
        InputError: The tar file is damaged.
        OSError: It cannot be read.
    """
    place = find_member(path)
    if place is None:
        return None
    shard, member = place
    with open(shard, "rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


def find_member(path: str | os.PathLike[str]) -> tuple[Path, Member] | None:
    """The tar file of a member, and where it lies in it; None if the path is that of a file or of nothing.

    Raises:
        InputError: The tar file is damaged.
    """
    text = os.fspath(path)
    end = text.find(_SUFFIX + os.sep) + len(_SUFFIX)
    if end < len(_SUFFIX) or not os.path.isfile(text[:end]):
        return None
    shard = Path(text[:end])
    member = members(shard).get(Path(text[end + 1 :]).as_posix())
    return None if member is None else (shard, member)


def file_bytes(path: Path, most: int = -1) -> bytes:
    """The first bytes of a file or a member; all if `most` is negative.

    Raises:
        OSError: It cannot be read.
    """
    member = read_member(path)
    if member is not None:
        return member if most < 0 else member[:most]
    with open(path, "rb") as file:
        return file.read(most)


def members(shard: Path) -> dict[str, Member]:
    """As `read_members`, which looks into each tar file once, unless it changes."""
    return _members(shard, os.stat(shard).st_mtime_ns)


def read_members(shard: Path) -> dict[str, Member]:
    """The files in a tar file by their names, in their order; of two of the same name the later one.

    Raises:
        InputError: It is damaged.
    """
    try:
        with tarfile.open(shard, "r:") as archive:
            size = shard.stat().st_size
            table = {member.name: Member(member.offset_data, member.size) for member in archive if member.isfile()}
        if any(member.offset + member.size > size for member in table.values()):
            raise tarfile.ReadError("unexpected end of data")
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise InputError(
            f"this shard is damaged: {error}",
            where=shard,
            expected="a whole, uncompressed tar file",
            fix="write or fetch it again, or move it away, then run the same command again",
        ) from error
    return table


@cache
def _members(shard: Path, changed: int) -> dict[str, Member]:
    return read_members(shard)
