import math

import numpy as np
import pytest

from fastitpn.reporting.values import format_column, format_duration, format_value, is_number, printable, shorten


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.912345, "0.9123"),
        (12345, "12,345"),
        (12345.6, "12,346"),
        (1e-5, "1e-05"),
        (0.0, "0"),
        (np.float32(0.5), "0.5"),
        (np.int64(2000), "2,000"),
        (None, "\N{EN DASH}"),
        (True, "yes"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("beagle", "beagle"),
    ],
)
def test_one_value(value: object, text: str) -> None:
    assert format_value(value) == text


def test_a_column_shares_its_decimals() -> None:
    assert format_column([0.5, 0.91234, None]) == ["0.5000", "0.9123", "\N{EN DASH}"]
    assert format_column([12.345, 3.0]) == ["12.35", "3.00"]
    assert format_column([1e-5, 0.5]) == ["1e-05", "0.5"]
    assert format_column([3, 4]) == ["3", "4"]
    assert format_column([math.nan, 0.25]) == ["nan", "0.2500"]


def test_bools_are_no_numbers() -> None:
    assert not is_number(True)
    assert is_number(np.float32(1))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.34, "12.3 s"), (245, "4 min 05 s"), (11220, "3 h 07 min"), (200_000, "2 d 07 h"), (59.99, "60.0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_control_characters_are_replaced_but_not_joiners() -> None:
    assert printable("a\x1b[31m\n\u202eb") == "a\N{REPLACEMENT CHARACTER}[31m" + "\N{REPLACEMENT CHARACTER}" * 2 + "b"
    assert printable("क\u200dष") == "क\u200dष"


def test_shortening_never_exceeds_the_length() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
