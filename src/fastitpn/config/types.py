"""Types of keys that many configurations share."""

from typing import Annotated, Literal

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Ratio = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(gt=0, lt=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
ImagePx = Annotated[int, Field(ge=32, multiple_of=16)]
PerChannel = tuple[float, float, float]
Scales = tuple[Positive, Positive]
OnError = Literal["stop", "skip"]
Schedule = Literal["cosine", "poly", "step", "late_step"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
Fit = Literal["exact", "stretch"]
"""What becomes of images of another size than an exported graph takes: an error, or both sides are brought to it."""
