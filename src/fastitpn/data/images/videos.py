"""The one place that decodes videos: their upright frames, one after the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from PIL import Image

from fastitpn.data.images.folders import list_files
from fastitpn.data.images.signatures import HEAD_BYTES, identify
from fastitpn.errors import InputError

EXTENSIONS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})
"""What is taken for a video (any case); of GIFs those that move, where one is given by itself."""

_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
_MISSING_S = 0.5
"""A video that ends so much before its time is cut off; a little less is usual."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: Number of the frame, from 0 on.
        time_s: When it is shown, from the first one on.
        image: Upright, RGB.
    """

    index: int
    time_s: float
    image: Image.Image


def is_video(path: Path) -> bool:
    """Whether a file is taken for a video: by its name, a GIF by its content."""
    suffix = path.suffix.lower()
    if suffix != ".gif":
        return suffix in EXTENSIONS
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1) > 1
    except Exception:  # no image at all, which whoever reads it says better
        return False


def list_videos(folder: str | os.PathLike[str]) -> list[Path]:
    """The videos in a folder and its sub-folders in alphabetical order, hidden ones left out; GIFs are images there.

    Raises:
        InputError: The folder is missing, is a file, or cannot be read.
    """
    return list_files(folder, EXTENSIONS)


def video_library(where: object) -> ModuleType:
    """PyAV, which is imported when the first video is opened.

    Raises:
        InputError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise InputError(
            "this is a video, and the package to read it is not installed",
            where=where,
            expected="the package av",
            fix="pip install 'fastitpn[video]'",
        ) from error
    return av


class Video:
    """An open video. Iterating over it decodes one frame at a time; `open_video` makes it.

    Attributes:
        path: File of the video.
        rate: Frames in a second, on average.
        num_frames: About how many there are, as its file says; 0 where it does not.
        problem: After the last frame: what ended the video before its time, or None.
        live: Whether its frames arrive by the clock, so that a slow reader must leave some out.
    """

    kind: ClassVar[str] = "video"
    live: bool = False

    def __init__(self, path: Path, container: Any, stream: Any):
        self.path = path
        self.problem: str | None = None
        self.rate = Fraction(stream.average_rate or stream.base_rate or 25)
        self._container, self._stream = container, stream
        self._end_s = _end_s(container, stream)
        self.num_frames: int = stream.frames or round((self._end_s or 0) * self.rate)

    def __iter__(self) -> Iterator[Frame]:
        first_s = time_s = None
        index = 0
        try:
            for decoded in self._pictures():
                time_s = decoded.time if decoded.time is not None else index / float(self.rate)
                first_s = time_s if first_s is None else first_s
                yield Frame(index=index, time_s=max(0.0, time_s - first_s), image=_upright(decoded))
                index += 1
        except (OSError, ValueError, video_library(self.path).FFmpegError) as error:
            self._stop(index, time_s, self._why(error))
            return
        if self._end_s is not None and self._end_s - (time_s or 0) - 1 / self.rate > _MISSING_S:
            self._stop(index, time_s, f"the file is cut off, and should last until {self._end_s:.2f} s")

    def _pictures(self) -> Iterator[Any]:
        yield from self._container.decode(self._stream)

    def _why(self, error: Exception) -> str:
        return getattr(error, "strerror", None) or str(error)

    def _stop(self, frames: int, time_s: float | None, reason: str) -> None:
        place = f"after frame {frames - 1}, at {time_s:.2f} s" if frames else "before its first frame"
        self.problem = f"the {self.kind} ends {place}: {reason}"


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Opens a video.

    Raises:
        InputError: It does not exist, is no video, its beginning is damaged, or the library is not installed.
    """
    av = video_library(path)
    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:
        raise _not_read(path, _reason(path, error)) from error
    with container:
        if not container.streams.video:
            raise _not_read(path, "it has no frames")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield Video(path, container, stream)


def _reason(path: Path, error: Exception) -> str:
    """Why a file was not opened: what it is, if that is known; else the error's words."""
    if not path.exists():
        return "there is no such file"
    with path.open("rb") as file:
        kind = identify(file.read(HEAD_BYTES)).what.partition(", not")[0]
    if kind == "a video" or kind.startswith("not an image"):
        return getattr(error, "strerror", None) or str(error)
    return kind


def _not_read(path: Path, reason: str) -> InputError:
    return InputError(
        f"cannot read this video: {reason}",
        where=path,
        expected="a complete video file (MP4, MOV, MKV, WebM, AVI ...)",
        fix="replace or delete this file, then run the same command again",
    )


def _upright(decoded: Any) -> Image.Image:
    """The picture of a decoded frame, turned as its file asks for."""
    picture: Image.Image = decoded.to_image()
    turn = _TURNS.get(round(decoded.rotation) % 360)
    return picture if turn is None else picture.transpose(turn)


def _end_s(container: Any, stream: Any) -> float | None:
    """When the last frame should end, as the file says; None where it does not, or only for sound and pictures."""
    if stream.duration is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    if text := stream.metadata.get("DURATION"):  # of Matroska, such as 00:00:02.400000000
        try:
            hours, minutes, seconds = text.split(":")
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        except ValueError:
            return None
    alone = len(container.streams) == 1 and container.duration is not None
    return container.duration / 1e6 if alone else None
