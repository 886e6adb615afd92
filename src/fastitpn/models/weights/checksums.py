"""Checksums of the members of a zip archive, without having its bytes in memory."""

import struct
import zipfile
import zlib
from pathlib import Path

HEADER_BYTES = 30
"""Of the header before a member, without its name and its extra field."""
_CHUNK = 1 << 22
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


def damaged_member(path: Path, archive: zipfile.ZipFile) -> str | None:
    """The first member whose checksum is wrong; `ZipFile.testzip` takes several times as long.

    Args:
        path: The archive.
        archive: The same, open.

    Returns:
        Its name; None if all are right.
    """
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                return archive.testzip()
            file.seek(member.header_offset)
            file.seek(data_start(member, file.read(HEADER_BYTES)))
            checksum, left = 0, member.file_size
            while left and (count := file.readinto(buffer[: min(left, _CHUNK)])):
                checksum, left = zlib.crc32(buffer[:count], checksum), left - count
            if left or member.CRC not in (_NOT_WRITTEN, checksum):
                return member.filename
    return None
