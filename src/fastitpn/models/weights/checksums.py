"""What a zip archive says of its members, and their checksums, without having its bytes in memory."""

import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from isal.isal_zlib import crc32  # several times as fast as that of the standard library, or of PyTorch

HEADER_BYTES = 30
"""Of the header before a member, without its name and its extra field."""
MAX_PICKLE = 256 << 20
"""Bytes of what describes the tensors; that of the largest network with its optimiser has some MB."""
_CHUNK = 1 << 20
_NOT_WRITTEN = 0
"""What PyTorch writes in place of a checksum with `torch.serialization.set_crc32_options(False)`."""


def data_start(member: zipfile.ZipInfo, header: bytes) -> int:
    """Where the bytes of a member begin in the archive.

    Args:
        member: A member.
        header: The first `HEADER_BYTES` of its header there.
    """
    name_size, extra_size = struct.unpack_from("<HH", header, 26)
    return member.header_offset + HEADER_BYTES + int(name_size) + int(extra_size)


def damage_of(path: Path, archive: zipfile.ZipFile, *, all_written: bool = False) -> str | None:
    """What is wrong with a file of PyTorch: its table first, before anything is made of it, and then its checksums.

    Args:
        path: The archive.
        archive: The same, open.
        all_written: Whether a checksum that was not written is wrong, as in files of our own. (`ZipFile.testzip` does
            the same for them, and takes several times as long.)

    Returns:
        Why it should not be read; None if all is right.
    """
    members = archive.infolist()
    return damage_of_table(path, members) or damage_of_members(path, members, all_written=all_written)


def damage_of_table(path: Path, members: Sequence[zipfile.ZipInfo]) -> str | None:
    """What is wrong with what the archive says of its members; None if all is right."""
    if len({member.filename for member in members}) < len(members):
        return "two of its members have one name"
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        return "it is a compressed archive, which PyTorch does not write"
    if sum(member.file_size for member in members) > path.stat().st_size:
        return "it says that it holds more bytes than it has"
    if any(member.file_size > MAX_PICKLE and member.filename.endswith(".pkl") for member in members):
        return f"what it says of its tensors takes more than {MAX_PICKLE >> 20} MiB"
    return None


def damage_of_members(path: Path, members: Iterable[zipfile.ZipInfo], *, all_written: bool) -> str | None:
    """The first member whose bytes have another checksum; None if all are right."""
    accepted = () if all_written else (_NOT_WRITTEN,)
    sums = checksums_of(path, members)
    damaged = next((member for member, checksum in sums if member.CRC not in (*accepted, checksum)), None)
    return None if damaged is None else f"wrong checksum of {damaged.filename}"


def checksums_of(path: Path, members: Iterable[zipfile.ZipInfo]) -> Iterator[tuple[zipfile.ZipInfo, int | None]]:
    """The checksum of each member's bytes; None of one that is not all there."""
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        for member in members:
            file.seek(member.header_offset)
            header = file.read(HEADER_BYTES)
            if len(header) < HEADER_BYTES:
                yield member, None
                continue
            file.seek(data_start(member, header))
            checksum, left = 0, member.file_size
            while left and (count := file.readinto(buffer[: min(left, _CHUNK)])):
                checksum, left = crc32(buffer[:count], checksum), left - count
            yield member, None if left else checksum
