"""The checksums of a checkpoint that is being written: PyTorch takes about as long for them as for all the rest."""

import struct
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import torch

from fastitpn.files import persistently
from fastitpn.models.weights.checksums import HEADER_BYTES, checksums_of, data_start

_BEHIND = b"PK\7\10"
"""Begins what follows a member that has no checksum in the header before it, as PyTorch's have none."""
_TABLE_ENTRY_BYTES = 46
"""Of an entry of the table at an archive's end, without what may be longer."""
_THREADS = 4


@contextmanager
def without_checksums() -> Iterator[None]:
    """Within, PyTorch writes archives without checksums."""
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(before)


def add_checksums(file: IO[bytes]) -> None:
    """Writes the checksums of an archive that PyTorch wrote without, where it would have written them.

    Args:
        file: Open for writing at the archive's end, and left there.
    """
    file.flush()
    path = Path(file.name)
    with zipfile.ZipFile(path) as archive:
        members, table_start = archive.infolist(), archive.start_dir
    parts = [members[place::_THREADS] for place in range(_THREADS)]
    with ThreadPoolExecutor(_THREADS) as pool:
        sums = {
            member.filename: checksum or 0
            for part in pool.map(lambda part: persistently(lambda: list(checksums_of(path, part))), parts)
            for member, checksum in part
        }
    with path.open("rb") as written:
        written.seek(table_start)
        table, place = bytearray(written.read()), 0
        for member in members:
            checksum = struct.pack("<I", sums[member.filename])
            table[place + 16 : place + 20] = checksum
            place += _TABLE_ENTRY_BYTES + sum(struct.unpack_from("<HHH", table, place + 28))  # name, extra, comment
            if member.file_size == 0:
                continue  # its checksum is 0, and nothing follows it
            written.seek(member.header_offset)
            end = data_start(member, written.read(HEADER_BYTES)) + member.file_size
            written.seek(end)
            assert written.read(len(_BEHIND)) == _BEHIND
            file.seek(end + len(_BEHIND))
            file.write(checksum)
    file.seek(table_start)
    file.write(table)
