"""Webcams and network streams, read as videos without an end."""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from fastitpn.data.images.videos import Video, video_library
from fastitpn.errors import InputError
from fastitpn.listing import devices

EXPECTED = "a camera or a video stream that answers"
_PROTOCOLS = "rtsp,rtsps,rtp,rtmp,rtmps,srt,udp,tcp,tls,http,https,httpproxy,crypto,hls"
"""A playlist must not read files of this machine."""
_LIVE_OVER_HTTP = frozenset({"hls", "mpjpeg"})
"""Formats that cameras send over HTTP; other answers without an announced length may be files, which lose no frame."""
_MOST_RATE = 240
"""Frames per second; what announces more gives the unit of its clock."""
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


class Stream(Video):
    """An open stream: packets that were damaged on the way are left out."""

    kind = "stream"

    def __init__(self, name: str, av: ModuleType, container: Any, stream: Any, timeout_s: float):
        super().__init__(Path(name), container, stream)
        self._av, self._timeout_s = av, timeout_s
        if self.rate > _MOST_RATE:
            self.rate = type(self.rate)(25)

    def _pictures(self) -> Iterator[Any]:
        for packet in self._packets():
            try:
                yield from packet.decode()
            except self._av.InvalidDataError:
                continue

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except OSError as error:
            if error.errno != errno.EIO:  # which is how a connection without an announced length ends
                raise

    def _why(self, error: Exception) -> str:
        return _reason(self._av, error, self._timeout_s)


@contextmanager
def open_stream(address: str, timeout_s: float) -> Iterator[Stream]:
    """Opens a webcam or a network stream.

    Args:
        address: Number of a camera, from 0 on, or an address such as rtsp://host/path.
        timeout_s: Seconds to wait for the first answer, and for each picture.

    Raises:
        InputError: It does not answer, is no video, or the library is not installed.
    """
    name = stream_name(address)
    av = video_library(name)
    place, settings = _camera(av, address) if address.isdigit() else _network(address)
    try:
        container = av.open(place, timeout=(timeout_s, timeout_s), **settings)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _not_read(name, _reason(av, error, timeout_s)) from None
    with container:
        if not container.streams.video:
            raise _not_read(name, "it has no pictures")
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"  # threads by frames hold pictures back
        opened = Stream(name, av, container, stream, timeout_s)
        opened.live = _is_live(address, container)
        yield opened


def _is_live(address: str, container: Any) -> bool:
    if address.lower().startswith(("http://", "https://")):
        return container.duration is None and not _LIVE_OVER_HTTP.isdisjoint(container.format.name.split(","))
    return True


def stream_name(address: str) -> str:
    """What a stream is called: its address without a user's name and password, or "camera 0"."""
    if address.isdigit():
        return f"camera {address}"
    url = urlsplit(address)
    return url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()


def stream_file(address: str) -> str:
    """A file name for what is written of a stream."""
    return re.sub(r"[^0-9A-Za-z._-]+", "_", stream_name(address)).strip("._") or "stream"


def _network(address: str) -> tuple[str, dict[str, Any]]:
    options = {"protocol_whitelist": _PROTOCOLS}
    if address.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"  # without losses
    return address, {"container_options": options}


def _camera(av: ModuleType, number: str) -> tuple[str, dict[str, Any]]:
    """The device of a camera, and how it is opened."""
    form = _CAMERAS.get(sys.platform, "v4l2")
    if form == "avfoundation":
        return f"{number}:none", {"format": form, "options": {"framerate": "30"}}
    if form == "v4l2":
        device = Path(f"/dev/video{number}")
        if not device.exists():
            raise _no_camera(number, [path.name.removeprefix("video") for path in devices(Path("/dev"), "video*")])
        return str(device), {"format": form}
    cameras = [device.name for device in av.enumerate_input_devices(form) if "video" in str(device.media_types)]
    if int(number) >= len(cameras):
        raise _no_camera(number, [str(place) for place in range(len(cameras))])
    return f"video={cameras[int(number)]}", {"format": form}


def _no_camera(number: str, others: list[str]) -> InputError:
    known = f"one of {', '.join(others)}" if others else "a camera, which this machine does not have"
    return InputError(f"there is no camera {number}", expected=known, fix="connect it, or give a file or an address")


def _reason(av: ModuleType, error: Exception, timeout_s: float) -> str:
    if isinstance(error, av.error.ExitError | TimeoutError):
        return f"no answer for {timeout_s:g} s"
    return getattr(error, "strerror", None) or str(error)


def _not_read(name: str, reason: str) -> InputError:
    return InputError(
        f"cannot read this stream: {reason}",
        where=name,
        expected=EXPECTED,
        fix="check the address, or timeout_s=60 to wait longer",
    )
