"""Small videos for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from fastitpn.inference.video_writer import VideoWriter

RATE = 10


def write_video(path: Path, pictures: list[Image.Image], rate: int = RATE) -> Path:
    """An MP4 of pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file, VideoWriter(file, rate) as writer:
        for number, picture in enumerate(pictures):
            writer.write(picture, number / rate)
    return path


def moving(count: int, size: tuple[int, int] = (96, 64)) -> list[Image.Image]:
    """Noise, so that a video is not tiny, under a bar that moves: its column tells the frames apart."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        pixels = rng.integers(60, 120, (size[1], size[0], 3), dtype=np.uint8)
        pixels[:, 2 * number : 2 * number + 8] = (230, 40, 40)
        pictures.append(Image.fromarray(pixels))
    return pictures


def cut(path: Path, place: Path, share: float) -> Path:
    """The beginning of a video, as Matroska: an MP4 without its end cannot be read at all."""
    import av

    whole = place.with_suffix(".whole.mkv")
    with av.open(str(path)) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = whole.read_bytes()
    whole.unlink()
    place.write_bytes(content[: int(share * len(content))])
    return place
