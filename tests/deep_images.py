"""Files with 16 bits per channel in colours, which Pillow reads but does not write."""

import struct
import zlib
from pathlib import Path

import numpy as np


def write_png16(path: Path, values: np.ndarray) -> Path:
    """A PNG of uint16 [H, W, 3 or 4]."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    parts = [struct.pack(">I", len(data)) + kind + data + _crc(kind + data) for kind, data in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def write_tiff(path: Path, values: np.ndarray) -> Path:
    """An uncompressed TIFF of [H, W, bands], little-endian."""
    height, width, bands = values.shape
    bits, data = values.dtype.itemsize * 8, values.astype(values.dtype.newbyteorder("<")).tobytes()
    first = 8 + 2 + 12 * 9 + 4
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, first if bands > 2 else bits), (259, 3, 1, 1)]
    entries += [(262, 3, 1, 2 if bands == 3 else 1), (273, 4, 1, first + 2 * bands), (277, 3, 1, bands)]
    entries += [(278, 4, 1, height), (279, 4, 1, len(data))]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", 0)
    path.write_bytes(start + struct.pack(f"<{bands}H", *[bits] * bands) + data)
    return path


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))
