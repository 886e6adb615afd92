"""Masks of Label Studio's brush: run lengths in bits, as the package rle-pack of thi.ng writes them."""

from typing import Any

import numpy as np

_CHANNELS = 4
"""The pixels are RGBA; the mask is the last channel."""
_VALUE_BITS, _LENGTH_BITS = 8, (4, 8, 12, 16)


def decode_brush(runs: Any, height: int, width: int) -> np.ndarray | None:
    """The mask of a brush, bool [height, width]; None if it is damaged or of another size.

    Args:
        runs: Bytes as numbers: in bits, 32 of the count of values, 5 of their size, 4 x 4 of the sizes of lengths; then
            runs of a bit that says whether one value is repeated, 2 bits of the size of its length, the length, and the
            value or values.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    try:
        bits = "".join(map("{:08b}".format, bytes(runs)))
        return _decode(bits, height, width)
    except (TypeError, ValueError, OverflowError):
        return None


def encode_brush(mask: np.ndarray) -> list[int]:
    """A mask, bool [height, width], as `decode_brush` reads it: runs of one value, 255 inside and 0 outside."""
    values = mask.ravel()
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    bits = [f"{_CHANNELS * values.size:032b}", f"{_VALUE_BITS - 1:05b}", *(f"{size - 1:04b}" for size in _LENGTH_BITS)]
    for start, length in zip(starts.tolist(), np.diff(starts, append=values.size).tolist(), strict=True):
        left = _CHANNELS * length
        while left:
            run = min(left, 2 ** _LENGTH_BITS[-1])
            kind = next(place for place, size in enumerate(_LENGTH_BITS) if run <= 2**size)
            bits.append(f"1{kind:02b}{run - 1:0{_LENGTH_BITS[kind]}b}{255 * int(values[start]):0{_VALUE_BITS}b}")
            left -= run
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[place : place + 8], 2) for place in range(0, len(text), 8)]


def _decode(bits: str, height: int, width: int) -> np.ndarray | None:
    place = 0

    def read(size: int) -> int:
        nonlocal place
        place += size
        if place > len(bits):
            raise ValueError("it ends in the middle")
        return int(bits[place - size : place], 2)

    count, value_size = read(32), read(5) + 1
    if count != height * width * _CHANNELS:
        return None
    sizes = [read(4) + 1 for _ in range(4)]
    values = np.zeros(count, dtype=np.uint32)
    start = 0
    while start < count:
        repeated = read(1)
        end = start + 1 + read(sizes[read(2)])
        if repeated:
            values[start:end] = read(value_size)
        else:
            values[start : min(end, count)] = [read(value_size) for _ in range(min(end, count) - start)]
        start = end
    return values.reshape(height, width, _CHANNELS)[..., -1] > 0
