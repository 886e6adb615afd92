"""From masks as they are on the disk to labels."""

import functools
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastitpn.data.segmentation.classes import IGNORE, MOST_CLASSES, SegmentationClasses
from fastitpn.data.segmentation.mask_files import (
    EXPECTED,
    MaskContent,
    MaskError,
    is_gray,
    read_mask,
    unpacked,
)

Labels = NDArray[np.uint8]

_NUMBERS = 2**16
_WRONG = -1


@dataclass(frozen=True, kw_only=True)
class MaskReader:
    """Reads masks as labels: 0 to the number of classes less one, and `IGNORE`.

    Attributes:
        num_classes: None while it is not known: then all numbers are taken.
        ignore_index: Number in the files of pixels to leave out.
        reduce_zero_label: Number 0 in the files is left out, and 1 is label 0.
        values: Number in the files of each label; empty if they are 0, 1, 2 and so on.
        left_out: Further numbers in the files of pixels to leave out.
        colors: Label of each packed colour; empty where no colours are known: then gray ones are numbers.
        palette_as_colors: The colours of palettes count, and not the places in them.
    """

    num_classes: int | None = None
    ignore_index: int = IGNORE
    reduce_zero_label: bool = False
    values: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
    colors: Mapping[int, int] = field(default_factory=dict)
    palette_as_colors: bool = False

    @classmethod
    def of(cls, classes: SegmentationClasses) -> "MaskReader":
        """The one for a data set whose masks were not looked at."""
        return cls(
            num_classes=len(classes.names) or None,
            ignore_index=classes.ignore_index,
            reduce_zero_label=classes.reduce_zero_label,
            values=classes.values,
            left_out=classes.left_out,
        )

    def __call__(self, path: str | os.PathLike[str]) -> Labels:
        """Labels [H, W] of a file.

        Raises:
            MaskError: It cannot be read, or has numbers or colours that are none of the classes.
        """
        pixels, colors = read_mask(path, palette_as_colors=self.palette_as_colors)
        labels = self._of_colors(pixels) if colors else self._of_numbers(pixels)
        wrong = labels == _WRONG
        if wrong.any():
            raise self._outside(path, Counter(pixels[wrong].tolist()), colors)
        return labels.astype(np.uint8)

    def count(self, content: MaskContent, path: Path) -> dict[int, int]:
        """Pixels by label of a mask that was looked at.

        Raises:
            MaskError: It has numbers or colours that are none of the classes.
        """
        colors = bool(content.colors) or (self.palette_as_colors and bool(content.palette))
        given = content.as_colors() if colors else content.numbers
        values = np.array(list(given), dtype=np.int32)
        labels = (self._of_colors(values) if colors else self._of_numbers(values)).tolist()
        wrong = {value: pixels for (value, pixels), label in zip(given.items(), labels, strict=True) if label == _WRONG}
        if wrong:
            raise self._outside(path, wrong, colors)
        result: Counter[int] = Counter()
        for label, pixels in zip(labels, given.values(), strict=True):
            result[label] += pixels
        return dict(result)

    def label_of(self, number: int) -> int | None:
        """The label of a number, None if it is outside of the classes."""
        label = int(self._table[number])
        return None if label == _WRONG else label

    @functools.cached_property
    def _table(self) -> NDArray[np.int16]:
        """Label of each number, and of any other at the end."""
        labels = np.full(_NUMBERS + 1, _WRONG, dtype=np.int16)
        first = int(self.reduce_zero_label)
        values = self.values or range(first, first + (self.num_classes or MOST_CLASSES))
        labels[[*self.left_out, self.ignore_index, *([0] if first else [])]] = IGNORE
        for label, number in enumerate(values):
            if self.values or number != self.ignore_index:  # a number that was named is a class
                labels[number] = label
        return labels

    def _of_numbers(self, numbers: NDArray[np.int32]) -> NDArray[np.int16]:
        other = (numbers < 0) | (numbers >= _NUMBERS)
        return self._table[np.where(other, _NUMBERS, numbers)]

    @functools.cached_property
    def _known_colors(self) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """Colours in ascending order, and their labels."""
        known = sorted(self.colors.items())
        return np.array([c for c, _ in known], np.int32), np.array([label for _, label in known], np.int16)

    def _of_colors(self, colors: NDArray[np.int32]) -> NDArray[np.int16]:
        if not self.colors:
            gray = colors & 255
            return np.where(colors == gray * 0x010101, self._of_numbers(gray), np.int16(_WRONG))
        known, labels = self._known_colors
        places = np.searchsorted(known, colors).clip(max=len(known) - 1)
        return np.where(known[places] == colors, labels[places], np.int16(_WRONG))

    def _outside(self, path: str | os.PathLike[str], counts: Mapping[int, int], colors: bool) -> MaskError:
        if colors and not (all(map(is_gray, counts)) and not self.colors):
            return self._other_colors(path, counts)
        counts = {value & 255: pixels for value, pixels in counts.items()} if colors else counts
        first = int(self.reduce_zero_label)
        last = first + (self.num_classes or MOST_CLASSES) - 1
        shown = ", ".join(f"{number} ({count} pixels)" for number, count in sorted(counts.items())[:5])
        more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
        fix = "correct the mask, name all classes in classes.yaml, or ignore_index=NUMBER for one that is no class"
        if list(counts) == [last + 1] and not first:
            fix = f"reduce_zero_label=true if 0 is no class and 1 the first, or ignore_index={last + 1} if it is none"
        expected = ", ".join(map(str, self.values[:20])) if self.values else f"{first} to {last}"
        return MaskError(
            "numbers outside of the classes",
            f"numbers outside of the classes: {shown}{more}",
            where=Path(path),
            expected=f"{expected}, or {self.ignore_index} for pixels to leave out"
            + (", or 0 for those too" if first else ""),
            fix=fix,
        )

    def _other_colors(self, path: str | os.PathLike[str], counts: Mapping[int, int]) -> MaskError:
        most = sorted(counts.items(), key=lambda entry: -entry[1])
        shown = ", ".join(f"{list(unpacked(color))} ({pixels} pixels)" for color, pixels in most[:5])
        more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
        what = "colours outside of the classes" if self.colors else "it holds colours, not numbers of classes"
        return MaskError(
            "colours outside of the classes" if self.colors else "colour mask",
            f"{what}: {shown}{more}",
            where=Path(path),
            expected="the colours of the classes" if self.colors else EXPECTED,
            fix="give every class its colour in classes.yaml: colors: {name: [r, g, b]}, and those of no class under "
            "ignore_colors",
        )
