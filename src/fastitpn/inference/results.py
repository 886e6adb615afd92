"""What a prediction is."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, overload

from PIL import Image

from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.inference.drawing import card, fitted
from fastitpn.inference.sources import Source
from fastitpn.reporting.pictures import contact_sheet

SHEET_IMAGES = 48
"""Images on a contact sheet, at most."""
_MOST_LISTED = 10


class JsonResult(Protocol):
    """A result for one image."""

    def to_json(self) -> dict[str, Any]:
        """Plain types."""


@dataclass(frozen=True, kw_only=True)
class Classification:
    """The likeliest classes of one image.

    Attributes:
        index: Place of the image among all that were given, those of folders counted one by one.
        path: Its file; None for an image that was given as a picture, an array or a tensor.
        labels: Names of the classes, the likeliest first.
        scores: Their probabilities (softmax over all classes), in [0, 1].
        source: The image itself, for `draw`.
    """

    index: int
    path: Path | None
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    source: Source = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.labels[0]

    @property
    def score(self) -> float:
        """Its probability."""
        return self.scores[0]

    def draw(self, px: int = 384) -> Image.Image:
        """The image with its classes below.

        Args:
            px: Width of the picture, and longest side of the image in it.

        Raises:
            InputError: The file is gone.
        """
        return card(self.source.read(), list(zip(self.labels, self.scores, strict=True)), px=px)

    def to_json(self) -> dict[str, Any]:
        """Plain types: index, path, labels and scores."""
        return {
            "index": self.index,
            "path": None if self.path is None else str(self.path),
            "labels": list(self.labels),
            "scores": list(self.scores),
        }


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An image that could not be read.

    Attributes:
        index: Its place among all that were given.
        name: Its file, or its place among the arguments.
        reason: Why.
    """

    index: int
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class VideoPrediction:
    """What was written of one video.

    Attributes:
        path: The video.
        video: The same with what was found drawn in; MP4.
        lines: JSON lines, one for each frame: `frame` (from 0), `time_s`, and what was found.
        frames: How many there are.
        problem: What ended the video before its time; None if nothing did.
    """

    path: Path
    video: Path
    lines: Path
    frames: int
    problem: str | None = None


Result = TypeVar("Result", bound=JsonResult)


@dataclass(frozen=True)
class Results(Sequence[Result]):
    """The results for all images, in the order in which they were given.

    Attributes:
        results: One for each image that could be read.
        skipped: The others; empty unless `on_error="skip"`.
        videos: What `fastitpn predict` wrote of videos, which are not among the results.
    """

    results: tuple[Result, ...]
    skipped: tuple[Skipped, ...] = ()
    videos: tuple[VideoPrediction, ...] = ()

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    @overload
    def __getitem__(self, key: int) -> Result: ...

    @overload
    def __getitem__(self, key: slice) -> Self: ...

    def __getitem__(self, key: int | slice) -> Result | Self:
        return type(self)(self.results[key]) if isinstance(key, slice) else self.results[key]

    def _others(self) -> str:
        """How much there is besides results, for `repr`."""
        parts = ((self.skipped, "skipped"), (self.videos, f"video{'s' * (len(self.videos) != 1)}"))
        return "".join(f"; {len(part)} {name}" for part, name in parts if part)

    def to_json_lines(self, path: str | os.PathLike[str]) -> Path:
        """Writes one line of JSON for each image; a file of that name is replaced when all is written.

        Raises:
            InputError: It could not be written.
        """
        path = Path(path)
        with replacing(path) as file:
            for result in self.results:
                line = json.dumps(result.to_json(), ensure_ascii=False) + "\n"
                # Bytes of a file name that are no UTF-8 come out as \udcXX, which is how JSON escapes them.
                file.write(line.encode("utf-8", "backslashreplace"))
        return path


@dataclass(frozen=True, repr=False)
class Predictions(Results[Classification]):
    """The results for all images, in the order in which they were given."""

    def __repr__(self) -> str:
        shown = [f"{result.label} {result.score:.2f}" for result in self.results[:3]]
        shown += ["..."] if len(self) > len(shown) else []
        return f"Predictions({len(self)} image{'s' * (len(self) != 1)}: {', '.join(shown)}{self._others()})"

    def contact_sheet(self, *, columns: int = 8, px: int = 160, max_images: int = SHEET_IMAGES) -> Image.Image:
        """The first images with their likeliest class, in one picture.

        Args:
            columns: Images in a row.
            px: Side of each.
            max_images: How many.

        Raises:
            InputError: There are no predictions, or a file is gone.
        """
        if not self.results:
            raise InputError("there are no predictions to draw", expected="at least one image")
        items = [
            (
                fitted(result.source.read(min_px=px), px),
                result.source.caption(f"{result.label} {100 * result.score:.1f} %"),
                None,
            )
            for result in self.results[:max_images]
        ]
        return contact_sheet(items, columns, tile_px=px)


def skipped_lines(skipped: Sequence[Skipped]) -> Iterator[str]:
    """How many files were skipped, and the first of them with the reason."""
    if skipped:
        yield f"{len(skipped)} {'file' if len(skipped) == 1 else 'files'} skipped:"
    for one in skipped[:_MOST_LISTED]:
        yield f"  {one.name}: {one.reason}"
    if len(skipped) > _MOST_LISTED:
        yield f"  and {len(skipped) - _MOST_LISTED} more"


def none_readable(skipped: Sequence[Skipped], total: int) -> InputError:
    """The error for a folder all of whose images were skipped."""
    first = skipped[0]
    return InputError(
        f"none of the {total} images can be read; the first: {first.reason}", where=first.name, expected="image files"
    )
