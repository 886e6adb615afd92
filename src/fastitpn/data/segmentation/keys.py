"""Keys that say which files are masks and what their numbers mean."""

import string
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastitpn.config.fields import Config

PLACES = ("stem", "name")
"""What a pattern may have in braces: an image's name without and with its suffix."""


@dataclass(frozen=True, kw_only=True)
class MaskKeys(Config):
    """Masks."""

    _shorthand: ClassVar[str | None] = "folder"

    folder: Path | None = None
    """Folder of the masks inside data; none finds masks, annotations, labels, SegmentationClass and others."""
    suffix: str | None = None
    """Suffix of the names of masks, such as _mask for a.jpg and a_mask.png."""
    pattern: str | None = None
    """The mask of an image by its name, such as mask_{stem} or {name}.png: {stem} is a of a.jpg, {name} is a.jpg."""
    values: tuple[int, ...] | None = None
    """Number in the masks of each class, in the order of the classes, such as 0,255; none is 0, 1, 2 and so on."""

    def problems(self) -> list[str]:
        """Checks that a pattern names the image, and that no two classes have the same number."""
        result = super().problems()
        if self.suffix is not None and self.pattern is not None:
            result.append("suffix: expected none where masks.pattern is given, got both")
        if self.pattern is not None and _fields(self.pattern) not in ([place] for place in PLACES):
            result.append(f"pattern: expected {{stem}} or {{name}} in it, once, got {self.pattern}")
        values = self.values or ()
        if len(set(values)) < len(values) or any(not 0 <= value < 2**16 for value in values):
            numbers = ",".join(map(str, values))
            result.append(f"values: expected different numbers from 0 to 65535, got {numbers}")
        return result


def _fields(pattern: str) -> list[str]:
    try:
        return [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
    except ValueError:
        return []
