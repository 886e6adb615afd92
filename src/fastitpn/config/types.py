"""Types of keys that many configurations share."""

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
PerChannel = tuple[float, float, float]
Scales = tuple[Positive, Positive]
OnError = Literal["stop", "skip"]
Schedule = Literal["cosine", "poly", "step", "constant"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
Fit = Literal["exact", "stretch"]
"""What becomes of images of another size than an exported graph takes: an error, or both sides are brought to it."""
