"""Writes pictures as a video that every player and browser shows."""

from fractions import Fraction
from types import TracebackType
from typing import IO, Any, Self

from PIL import Image

from fastitpn.data.images.videos import video_library

_TIME_BASE = Fraction(1, 90_000)
_CODECS = {
    "libx264": {"preset": "veryfast", "crf": "20", "bf": "0"},  # frames out of order spoil uneven times at the end
    "libopenh264": {"b": "6000000"},
    "mpeg4": {"qscale": "3"},
}
"""The best first, with their options; which of them are there depends on how the library was built."""
_BT709 = 1


class VideoWriter:
    """An MP4 file that is being written, without sound. Pictures keep their times.

    Args:
        file: Binary, open for writing.
        rate: Pictures in a second, about.

    Attributes:
        codec: What it is written with.
    """

    def __init__(self, file: IO[bytes], rate: Fraction):
        self._av = video_library(file.name)
        self.codec = next(name for name in _CODECS if name in self._av.codecs_available)
        self._container: Any = self._av.open(file, "w", format="mp4")
        self._rate = rate
        self._stream: Any = None
        self._last = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def write(self, picture: Image.Image, time_s: float) -> None:
        """Adds a picture.

        Args:
            picture: RGB. The first one settles the size of the video, and others are brought to it.
            time_s: When it is shown, later than the one before.
        """
        if self._stream is None:
            self._stream = self._open_stream(*picture.size)
        stream = self._stream
        if picture.size != (stream.width, stream.height):
            picture = picture.resize((stream.width, stream.height), Image.Resampling.BICUBIC)
        frame = self._av.VideoFrame.from_image(picture).reformat(format="yuv420p", dst_colorspace="ITU709")
        self._last = frame.pts = max(self._last + 1, round(time_s / _TIME_BASE))
        frame.time_base = _TIME_BASE
        self._container.mux(stream.encode(frame))

    def _open_stream(self, width: int, height: int) -> Any:
        stream = self._container.add_stream(self.codec, rate=self._rate, options=_CODECS[self.codec])
        stream.width, stream.height = (max(2, side - side % 2) for side in (width, height))  # colours are for 2 x 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = _TIME_BASE
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        return stream
