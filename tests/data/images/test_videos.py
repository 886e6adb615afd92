import sys

import numpy as np
import pytest
from PIL import Image
from video_example import cut, moving, write_video

from fastitpn.data.images.videos import is_video, list_videos, open_video
from fastitpn.errors import InputError


def frames_of(path):
    with open_video(path) as video:
        frames = list(video)
    return frames, video


def test_frames_with_their_times(tmp_path):
    pictures = moving(12)
    frames, video = frames_of(write_video(tmp_path / "a.mp4", pictures))
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([number / 10 for number in range(12)])
    assert (video.num_frames, video.rate, video.problem) == (12, 10, None)
    for frame, picture in zip(frames, pictures, strict=True):
        assert frame.image.mode == "RGB"
        difference = np.asarray(frame.image, int) - np.asarray(picture, int)
        assert abs(difference).mean() < 12  # noise is not kept to the bit


def test_one_frame_at_a_time(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving(30))
    with open_video(path) as video:
        assert next(iter(video)).index == 0
        assert video.problem is None


def test_frames_are_upright(tmp_path):
    picture = Image.new("RGB", (64, 32), "blue")
    picture.paste("red", (0, 0, 32, 32))
    path = write_video(tmp_path / "a.mp4", [picture] * 2)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    for place, value in enumerate((0, 0x10000, 0, 0xFFFF0000, 0)):  # a quarter clockwise, as a phone writes it
        content[matrix + 4 * place : matrix + 4 * place + 4] = value.to_bytes(4, "big")
    path.write_bytes(content)
    frames, _ = frames_of(path)
    upright = frames[0].image
    assert upright.size == (32, 64)
    assert upright.getpixel((16, 8))[0] > 200  # what was left is at the top
    assert upright.getpixel((16, 56))[2] > 200


def test_a_video_that_is_cut_off_says_where(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving(30))
    frames, video = frames_of(cut(path, tmp_path / "b.mkv", 0.6))
    assert 8 < len(frames) < 25
    last = frames[-1]
    assert f"the video ends after frame {last.index}, at {last.time_s:.2f} s: " in video.problem
    assert "cut off, and should last until 3.00 s" in video.problem


def test_damage_in_the_middle_says_where(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving(30))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 8] = bytes(len(content) // 8)
    path.write_bytes(content)
    frames, video = frames_of(path)
    assert 0 < len(frames) < 30
    assert f"after frame {len(frames) - 1}, " in video.problem


def test_animated_gifs(tmp_path):
    pictures = moving(4)
    pictures[0].save(tmp_path / "moves.gif", save_all=True, append_images=pictures[1:], duration=200)
    pictures[0].save(tmp_path / "still.gif")
    (tmp_path / "none.gif").write_text("text")
    assert [is_video(tmp_path / f"{name}.gif") for name in ("moves", "still", "none")] == [True, False, False]
    frames, _ = frames_of(tmp_path / "moves.gif")
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.2, 0.4, 0.6])


def test_those_in_a_folder(tmp_path):
    for name in ("b.MP4", "a/c.webm", ".hidden.mp4", "d.png", "e.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_videos(tmp_path) == [tmp_path / "a/c.webm", tmp_path / "b.MP4"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"<html><body>404</body></html>", "a web page"),
        (b"\0\0\0\x18ftypmp42damaged", "Invalid data found when processing input"),
    ],
)
def test_what_a_file_is_that_is_no_video(tmp_path, content, reason):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError) as caught, open_video(tmp_path / "a.mp4"):
        pass
    assert caught.value.what == f"cannot read this video: {reason}"


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_what_is_no_video(tmp_path, content):
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError, match="cannot read this video: ") as caught, open_video(tmp_path / "a.mp4"):
        pass
    assert caught.value.where == tmp_path / "a.mp4"


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"pip install 'fastitpn\[video\]'"), open_video(tmp_path / "a.mp4"):
        pass
