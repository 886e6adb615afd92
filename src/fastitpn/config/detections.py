"""Keys of detection that evaluation and prediction share."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fastitpn.config.fields import Config


@dataclass(frozen=True, kw_only=True)
class DetectionsConfig(Config):
    """Detection: what is found."""

    max_px: Annotated[int, Field(ge=32)] | None = None
    """Longest side at which an image is looked at; none: in the proportion to px that the training had."""
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Least score of what is drawn, and written by predict."""
