"""JSON files as they are found: in any of Unicode's encodings, and long lists item by item."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastitpn.errors import InputError

_SPACE = re.compile(r"[ \t\n\r]*")
_NEXT = re.compile(r"[ \t\n\r]*([,\]])[ \t\n\r]*")
_END = " \t\n\r\0\x1a"
"""What may follow the content: also what some systems fill or end files with."""
_FIX = "write or copy the file again"


class JsonList:
    """A list in a JSON text, whose items are read when they are asked for, each time again.

    Args:
        text: All of the file.
        start: Where the first item begins.
        length: Number of items.
    """

    def __init__(self, text: str, start: int, length: int) -> None:
        self._text = text
        self._start = start
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        for item, _ in _items(self._text, self._start):
            yield item


def read_json(file: Path, *, expected: str, lazy: tuple[str, ...] = ()) -> Any:
    """What is in a JSON file.

    Args:
        file: In UTF-8, UTF-16 or UTF-32, with or without a byte order mark.
        expected: What the file should be, for messages.
        lazy: Lists of the outermost object that become a `JsonList` each.

    Raises:
        InputError: The file cannot be read, is no text or no JSON, is empty or ends in the middle.
    """
    try:
        text = _decoded(file.read_bytes())
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not a text file"
        raise InputError(f"cannot read this file: {reason}", where=file, expected=expected, fix="check it") from error
    try:
        return _outermost(text, lazy) if lazy and text.startswith("{") else json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{file}, line {error.lineno}, column {error.colno}"
        raise InputError(_what(error), where=where, expected=expected, fix=_FIX) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or thousands of brackets
        what = f"this is not JSON that anyone writes: {error}"
        raise InputError(what, where=file, expected=expected, fix=_FIX) from error


def _decoded(content: bytes) -> str:
    text = content.decode(json.detect_encoding(content), "strict")
    return text.removeprefix("\ufeff").strip(_END)


def _what(error: json.JSONDecodeError) -> str:
    if not error.doc:
        return "this file is empty"
    rest = error.doc[error.pos :].strip()
    if not rest or (error.msg.startswith("Unterminated") and "\n" not in rest):
        return "this JSON file ends in the middle: it was cut off"
    if error.msg == "Extra data":
        lines = error.doc[: error.pos].count("\n") == 1 and rest.startswith(("{", "["))
        return "this is JSON lines, an object in each line" if lines else "after the end of the JSON there is more"
    return f"this is not JSON: {error.msg}"


def _outermost(text: str, lazy: tuple[str, ...]) -> dict[str, Any]:
    """The outermost object; the lists of the given names are only looked through."""
    result: dict[str, Any] = {}
    place = _after_space(text, 1)
    while text[place : place + 1] != "}":
        if text[place : place + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, place)
        name, place = _value(text, place)
        place = _expect(text, place, ":")
        if name in lazy and text[place : place + 1] == "[":
            start = place = _after_space(text, place + 1)
            length = 0
            for _, after in _items(text, start):
                length, place = length + 1, after
            result[name] = JsonList(text, start, length)
            place = _expect(text, place, "]")
        else:
            result[name], place = _value(text, place)
            place = _after_space(text, place)
        if text[place : place + 1] != "}":
            place = _expect(text, place, ",")
    if place + 1 < len(text):
        raise json.JSONDecodeError("Extra data", text, _after_space(text, place + 1))
    return result


_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # of the standard library's own raw_decode


def _value(text: str, place: int) -> tuple[Any, int]:
    try:
        return _scan(text, place)
    except StopIteration as error:
        raise json.JSONDecodeError("Expecting value", text, error.value) from error


def _items(text: str, place: int) -> Iterator[tuple[Any, int]]:
    """The items of a list from its first on, each with the place after it."""
    if text[place : place + 1] == "]":
        return
    while True:
        item, place = _value(text, place)
        yield item, place
        mark = _NEXT.match(text, place)
        if mark is None:
            raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
        if mark[1] == "]":
            return
        place = mark.end()


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _expect(text: str, place: int, mark: str) -> int:
    """The place after a mark and the space around it."""
    place = _after_space(text, place)
    if text[place : place + 1] != mark:
        raise json.JSONDecodeError(f"Expecting {mark!r} delimiter", text, place)
    return _after_space(text, place + 1)
