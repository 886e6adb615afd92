"""Text files in whatever encoding other people's tools have written them."""

import codecs
import re
from pathlib import Path

from fastitpn.errors import InputError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte-order marks; those of UTF-32 begin as those of UTF-16, so they come first."""
_HIGH = re.compile(rb"[\x80-\xff]+")
_LARGER = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "utf-8"}
"""Encodings whose names files bear that are written in a larger one."""
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
"""Encodings that are told from the bytes; any other is a guess, or what the file says."""


def read_text(file: Path) -> str:
    """The text of a file, see `decode`.

    Raises:
        InputError: It cannot be read, or is no text.
    """
    try:
        return decode(file.read_bytes())[0]
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not a text file"
        raise InputError(
            f"cannot read this file: {reason}", where=file, expected="a text file", fix="save it as text in UTF-8"
        ) from error


def decode(content: bytes, declared: str | None = None) -> tuple[str, str]:
    """Text, and the name of its encoding: by a byte-order mark, as declared, UTF-8, UTF-16, or the likeliest other.

    Args:
        content: Bytes of the file.
        declared: Encoding that the content says it has; not believed where it cannot be.

    Raises:
        UnicodeError: It is no text.
    """
    mark = next((mark for mark in _MARKS if content.startswith(mark)), None)
    candidates = [_MARKS[mark]] if mark else [_python_name(declared), "utf-8", _likeliest(content)]
    for encoding in filter(None, candidates):
        try:
            text = content.decode(encoding)
        except UnicodeError:
            continue
        if "\0" not in text:
            return text, encoding
    raise UnicodeError("no text")


def _python_name(declared: str | None) -> str | None:
    """The codec of an encoding's name; None if there is none."""
    try:
        name = codecs.lookup(declared or "").name
    except (LookupError, ValueError):
        return None
    return _LARGER.get(name, name)


def _likeliest(content: bytes) -> str:
    """The encoding of bytes that are not UTF-8."""
    odd, even = content[1::2].count(0), content[::2].count(0)
    if odd or even:
        return "utf-16-le" if odd > even else "utf-16-be"
    runs = _HIGH.findall(content)
    pairs = [run[place : place + 2] for run in runs for place in range(0, len(run), 2)]
    # GB 2312 has its common characters first, while the letters of Western and Cyrillic alphabets are its rare ones
    common = sum(0xB0 <= pair[0] <= 0xD7 and pair[-1] >= 0xA1 for pair in pairs if len(pair) == 2)
    if common * 2 >= len(pairs):
        return "gb18030"
    # words of nothing but letters that are no ASCII
    return "cp1251" if sum(len(run) > 2 for run in runs) * 2 >= len(runs) else "cp1252"
