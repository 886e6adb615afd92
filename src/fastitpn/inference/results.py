"""What a prediction is."""

import html
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, overload

from PIL import Image

from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.inference.csv_table import csv_table
from fastitpn.inference.drawing import Share, fitted, sized_frame, with_panel
from fastitpn.inference.sources import Source
from fastitpn.reporting.pictures import contact_sheet

SHEET_IMAGES = 48
"""Images on a contact sheet, at most."""
FRAME_CLASSES = 5
"""Classes that are named in a frame of a video."""
_MOST_LISTED = 10
_NOTEBOOK_PX = 480
"""Longest side of an image in a notebook."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was predicted for one image; a task has a subclass.

    Attributes:
        index: Place of the image among all that were given, those of folders counted one by one.
        path: File of the image; None for one that was given as a picture, an array or a tensor.
        source: The image itself, for `draw`.
    """

    index: int
    path: Path | None
    source: Source = field(repr=False, compare=False)

    def summary(self) -> str:
        """The prediction in a few words."""
        raise NotImplementedError

    def csv_rows(self) -> list[dict[str, Any]]:
        """Lines of a CSV table, all results with the same columns."""
        return [{"prediction": self.summary()}]

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {"index": self.index, "path": None if self.path is None else str(self.path)}

    def shares(self) -> list[Share]:
        """The classes with a score or a share of the image each, the highest first."""
        return []

    def picture(self, px: int) -> Image.Image | None:
        """The image with what was predicted in it; None where that is not to be seen in the image.

        Args:
            px: Longest side of the picture.
        """
        return None

    def tile(self, px: int) -> Image.Image:
        """The image with its prediction for a contact sheet.

        Args:
            px: Longest side in pixels.
        """
        return fitted(self.source.read(min_px=px), px)

    def caption(self) -> str:
        """What stands below the tile."""
        return self.summary()

    def _repr_html_(self) -> str:
        """The image with its prediction, in a notebook."""
        from fastitpn.reporting.report import embed

        text = f"<figcaption>{html.escape(self.source.caption(self.caption()))}</figcaption>"
        return f"<figure>{embed(self.tile(_NOTEBOOK_PX), self.summary())}{text}</figure>"

    def frame(self) -> Image.Image:
        """The frame of a video with its prediction; small ones are enlarged, so that names can be read."""
        picture = self.source.read()
        return with_panel(sized_frame(picture), self.shares()[:FRAME_CLASSES])

    def frame_json(self) -> dict[str, Any]:
        """What a line of a video's JSON says: plain types, without the image's place and file."""
        return {key: value for key, value in self.to_json().items() if key not in ("index", "path", "mask")}


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An image that could not be read.

    Attributes:
        index: Its place among all that were given.
        name: File of the image, or its place among the arguments.
        reason: Words that say why it could not be read.
    """

    index: int
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class VideoPrediction:
    """What was written of one video.

    Attributes:
        path: File of the video that was given.
        video: The video with the predictions drawn in; MP4.
        lines: JSON lines, one for each frame: `frame` (from 0), `time_s`, and the prediction.
        frames: How many frames were written.
        problem: What ended the video before its time; None if nothing did.
    """

    path: Path
    video: Path
    lines: Path
    frames: int
    problem: str | None = None


ResultT = TypeVar("ResultT", bound=Result)


@dataclass(frozen=True, repr=False)
class Results(Sequence[ResultT]):
    """The results for all images, in the order in which they were given.

    Attributes:
        results: One for each image that could be read.
        skipped: The others; empty unless `on_error="skip"`.
        videos: What `fastitpn predict` wrote of videos, which are not among the results.
    """

    sheet_columns: ClassVar[int] = 8
    sheet_px: ClassVar[int] = 160
    shown: ClassVar[tuple[int, str]] = (2, "; ")
    """How many results `repr` shows, and what stands between them."""

    results: tuple[ResultT, ...]
    skipped: tuple[Skipped, ...] = ()
    videos: tuple[VideoPrediction, ...] = ()

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[ResultT]:
        return iter(self.results)

    @overload
    def __getitem__(self, key: int) -> ResultT: ...

    @overload
    def __getitem__(self, key: slice) -> Self: ...

    def __getitem__(self, key: int | slice) -> ResultT | Self:
        return type(self)(self.results[key]) if isinstance(key, slice) else self.results[key]

    def __repr__(self) -> str:
        most, between = self.shown
        parts = [result.summary() for result in self.results[:most]] + ["..."] * (len(self) > most)
        name = type(self).__name__
        return f"{name}({len(self)} image{'s' * (len(self) != 1)}: {between.join(parts)}{self._others()})"

    def _repr_html_(self) -> str:
        """The contact sheet, in a notebook."""
        from fastitpn.reporting.report import embed

        sheet = embed(self.contact_sheet(), "the images with their predictions") if self.results else ""
        return f"<p>{html.escape(repr(self))}</p>{sheet}"

    def _others(self) -> str:
        parts = ((self.skipped, "skipped"), (self.videos, f"video{'s' * (len(self.videos) != 1)}"))
        return "".join(f"; {len(part)} {name}" for part, name in parts if part)

    def contact_sheet(
        self, *, columns: int | None = None, px: int | None = None, max_images: int = SHEET_IMAGES
    ) -> Image.Image:
        """The first images with their predictions, in one picture.

        Args:
            columns: Images in a row; None for as many as suit the task.
            px: Side of each in pixels; None for what suits the task.
            max_images: Number of images at most.

        Raises:
            InputError: There are no predictions, or a file is gone.
        """
        if not self.results:
            raise InputError("there are no predictions to draw", expected="at least one image")
        side = px or self.sheet_px
        results = self.results[:max_images]
        items = [(result.tile(side), result.source.caption(result.caption()), None) for result in results]
        return contact_sheet(items, columns or self.sheet_columns, tile_px=side)

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

    def to_csv(self, path: str | os.PathLike[str], *, root: Path | None = None) -> Path:
        """Writes a CSV table: a line for each object, class or image, as suits the task.

        Args:
            path: The file; one of that name is replaced when all is written.
            root: Folder that names of images begin at; None writes them as they are.

        Raises:
            InputError: It could not be written.
        """
        path = Path(path)
        with csv_table(path) as table:
            for result in self.results:
                place = result.path if result.path is None or root is None else result.path.relative_to(root)
                table.add({"image": result.source.name if place is None else place.as_posix()}, result)
        return path


def skipped_lines(skipped: Sequence[Skipped]) -> Iterator[str]:
    """How many files were skipped, and the first of them with the reason."""
    if skipped:
        yield f"{len(skipped)} {'file' if len(skipped) == 1 else 'files'} skipped:"
    for file in skipped[:_MOST_LISTED]:
        yield f"  {file.name}: {file.reason}"
    if len(skipped) > _MOST_LISTED:
        yield f"  and {len(skipped) - _MOST_LISTED} more"


def none_readable(skipped: Sequence[Skipped], total: int) -> InputError:
    """The error for a folder all of whose images were skipped."""
    first = skipped[0]
    return InputError(
        f"none of the {total} images can be read; the first: {first.reason}", where=first.name, expected="image files"
    )
