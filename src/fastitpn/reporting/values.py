"""How numbers and names are written wherever a person reads them."""

import math
import unicodedata
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TypeGuard

Value = str | int | float | bool | None
"""What a table's cell may hold."""


def is_number(value: object) -> TypeGuard[float]:
    """True for ints and floats (numpy's too), not for bools."""
    return isinstance(value, Real) and not isinstance(value, bool)


def format_value(value: object) -> str:
    """Write one value: about four significant digits, thousands separated, a dash for None.

    >>> [format_value(v) for v in (0.912345, 12345, 1e-5, None, True)]
    ['0.9123', '12,345', '1e-05', '–', 'yes']
    """
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        number = float(value)
        if not math.isfinite(number):
            return str(number)
        if abs(number) >= 1000:
            return f"{number:,.0f}"
        if number == 0 or abs(number) >= 1e-3:
            return f"{number:.4g}"
        return f"{number:.3g}"
    return printable(str(value))


def format_column(values: Sequence[object]) -> list[str]:
    """Write the cells of one column; floats between 0.001 and 1000 get the same number of decimals, so points align."""
    finite = [float(v) for v in values if isinstance(v, Real) and not isinstance(v, Integral) and math.isfinite(v)]
    largest = max((abs(v) for v in finite), default=0.0)
    smallest = min((abs(v) for v in finite if v), default=1.0)
    if not finite or largest >= 1000 or smallest < 1e-3:
        return [format_value(v) for v in values]
    decimals = 2 if largest >= 10 else 3 if largest > 1 else 4
    return [
        f"{float(v):.{decimals}f}"
        if isinstance(v, Real) and not isinstance(v, Integral) and math.isfinite(v)
        else format_value(v)
        for v in values
    ]


def format_duration(seconds: float) -> str:
    """Write a duration in its two largest units: `3 h 07 min`, `4 min 05 s`, `12.3 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def printable(text: str) -> str:
    """Replace control characters, which a class or file name may hold and a terminal or an SVG file would obey."""
    joiners = "\u200c\u200d"  # invisible, but part of the spelling in Persian and Hindi
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in joiners else c for c in text)


def shorten(text: str, length: int) -> str:
    """Cut to at most `length` characters, the last one an ellipsis."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
