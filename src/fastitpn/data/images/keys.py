"""Keys of all commands that read images."""

import re
from dataclasses import dataclass

from fastitpn.config.fields import Config
from fastitpn.config.types import Positive

_RANGE = re.compile(r"auto|full|float255|(8|10|12|14|16)bit|-?\d+(\.\d+)?--?\d+(\.\d+)?")


@dataclass(frozen=True, kw_only=True)
class ImageKeys(Config):
    """Images."""

    range: str = "auto"
    """Black and white of images above 8 bits: auto (as trained, else the depth of the data), 12bit, full, 0-4095."""
    max_mpx: Positive = 200.0
    """Largest image to decode, in megapixels; larger ones are refused, since they may fill the memory."""

    def problems(self) -> list[str]:
        """Checks the spelling of the range."""
        if _RANGE.fullmatch(self.range):
            return []
        return [f"range: expected auto, full, 8bit, 10bit, 12bit, 14bit, 16bit or LOW-HIGH, got {self.range}"]
