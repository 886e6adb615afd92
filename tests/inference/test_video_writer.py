import pytest
from PIL import Image
from video_example import write_video

from fastitpn.data.images.videos import open_video
from fastitpn.inference.video_writer import VideoWriter


def frames_of(path):
    with open_video(path) as video:
        return list(video)


def test_odd_sizes_lose_a_line_and_others_are_brought_to_the_first(tmp_path):
    sizes = [(65, 33), (65, 33), (120, 20)]
    frames = frames_of(write_video(tmp_path / "a.mp4", [Image.new("RGB", size, "red") for size in sizes]))
    assert [frame.image.size for frame in frames] == [(64, 32)] * 3


def test_colours_are_kept(tmp_path):
    color = (198, 40, 90)
    [frame] = frames_of(write_video(tmp_path / "a.mp4", [Image.new("RGB", (64, 32), color)]))
    assert frame.image.getpixel((30, 15)) == pytest.approx(color, abs=4)


def test_uneven_times_are_kept(tmp_path):
    times = [0.0, 0.1, 0.15, 0.15, 2.0]  # two at once: the second a moment later
    with open(tmp_path / "a.mp4", "wb") as file, VideoWriter(file, 10) as writer:
        for time_s in times:
            writer.write(Image.new("RGB", (64, 32)), time_s)
    with open_video(tmp_path / "a.mp4") as video:
        assert [frame.time_s for frame in video] == pytest.approx(times, abs=1e-3)
    assert video.problem is None
