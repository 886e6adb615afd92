"""Types of keys that many configurations share."""

import os
import re
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from fastitpn.config.values import Auto


def _quotient(value: Any) -> Any:
    """A fraction such as 27/32 as the number that it is; all else stays."""
    try:
        return float(Fraction(value)) if isinstance(value, str) and "/" in value else value
    except (ValueError, ZeroDivisionError):
        return value


def _address(value: Any) -> Any:
    """The number of a camera or the address of a stream; all else is a path, also a file that is called 0.

    Raises:
        ValueError: It is none.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text) or (text.isdigit() and os.path.exists(text)):
        raise ValueError("no stream")
    return text


_ADDRESS = re.compile(r"\d{1,2}|(rtsps?|rtmps?|rtp|srt|udp|tcp|https?)://\S+", re.IGNORECASE)

Count = Annotated[int, Field(ge=1)]
AutoCount = Annotated[int, Auto(), Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
AutoPositive = Annotated[float, Auto(), Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Ratio = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(gt=0, lt=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Milestone = Annotated[float, BeforeValidator(_quotient), Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
ImagePx = Annotated[int, Field(ge=32, multiple_of=16)]
Stream = Annotated[str, BeforeValidator(_address)]
"""A camera's number or a stream's address."""
PerChannel = tuple[float, float, float]
Scales = tuple[Positive, Positive]
OnError = Literal["stop", "skip"]
Schedule = Literal["cosine", "poly", "step", "constant"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
Fit = Literal["exact", "stretch"]
"""What becomes of images of another size than an exported graph takes: an error, or both sides are brought to it."""
