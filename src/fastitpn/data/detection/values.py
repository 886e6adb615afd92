"""Numbers, ids and flags of annotations as tools write them: as numbers, or as texts that plainly mean them."""

import math
import re
from collections.abc import Iterable
from typing import Any

from fastitpn.data.images.named_files import nfc

_LARGEST = 1e12
_LARGEST_ID = 2**63
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
_DECIMAL_COMMA = re.compile(r"^(\s*[+-]?\d*),(\d{1,2}|\d{4,})(?=\s*$)")
"""One comma in a number; with three digits behind it, it may stand between thousands."""
_BETWEEN = re.compile(r"[\s,;]+")

Key = int | str
"""An id: a whole number, or a text that is none."""


def number(value: Any) -> float | None:
    """A number, also one written as a text; None if it is none, no finite one, or too large to be of any use."""
    if type(value) is str:
        try:
            value = float(_DECIMAL_COMMA.sub(r"\1.\2", value))
        except ValueError:
            return None
    if type(value) not in (int, float):  # JSON's true is no number, though Python's is
        return None
    return value if abs(value) < _LARGEST else None


def numbers(value: Any) -> list[float] | None:
    """Numbers of a list, or of a text such as "10, 8, 20, 20"; None if one of them is none."""
    if isinstance(value, str):
        value = [word for word in _BETWEEN.split(value.strip().strip("[]()")) if word]
    if not isinstance(value, list | tuple):
        return None
    values = [number(item) for item in value]
    return None if None in values else values  # type: ignore[return-value]


def whole(value: Any) -> int | None:
    """A whole number, also one written as a float or a text; None if it is none."""
    if type(value) is str:
        text = value.strip()
        if re.fullmatch(r"[+-]?[0-9]{1,19}", text):
            value = int(text)
        else:
            value = number(text)
    if type(value) is float and math.isfinite(value) and value.is_integer():
        value = int(value)
    return value if type(value) is int and abs(value) < _LARGEST_ID else None


def key(value: Any) -> Key | None:
    """An id, by which entries are matched: "7", 7 and 7.0 are the same; None if it is neither number nor text."""
    if type(value) is int and abs(value) < _LARGEST_ID:
        return value
    as_whole = whole(value)
    if as_whole is not None or not isinstance(value, str):
        return as_whole
    return nfc(value.strip()) or None


def flag(value: Any) -> bool | None:
    """A flag, also one written as a number or a text; None if it is neither true nor false."""
    if isinstance(value, str):
        value = _FLAGS.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return bool(value)
    as_number = number(value)
    return None if as_number not in (0, 1) else bool(as_number)


def numbered(keys: Iterable[Key]) -> dict[Key, int]:
    """Ids as numbers: numbers stay, texts get numbers after the largest, in their order."""
    keys = list(dict.fromkeys(keys))
    last = max((item for item in keys if isinstance(item, int)), default=0)
    result: dict[Key, int] = {}
    for item in keys:
        last += isinstance(item, str)
        result[item] = last if isinstance(item, str) else item
    return result


def without_id(place: int, listed: str, value: Any) -> str:
    """What is wrong with an entry of a list that has no id, or one that is none."""
    if value is None:
        return f"number {place} of the {listed} has no id"
    return f"number {place} of the {listed} has the id {value!r:.40}, which is neither a whole number nor a text"
