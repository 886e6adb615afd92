"""`fastitpn predict` on videos."""

import json

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_masks
from PIL import Image
from tiny_runs import files
from video_example import cut, moving, write_video

import fastitpn
from fastitpn.cli.main import main
from fastitpn.data.images.videos import Frame, Video, open_video
from fastitpn.errors import InputError
from fastitpn.inference.written_pictures import find_inputs

KEYS = {"device": "cpu", "workers": 0}


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read(path):
    with open_video(path) as video:
        return list(video)


@pytest.fixture
def clip(tmp_path):
    return write_video(tmp_path / "source" / "clip.mp4", moving(11))


def test_classes(checkpoint, clip, tmp_path, capsys):
    predictions = fastitpn.predict(checkpoint, clip, out=tmp_path / "out", top_k=2, batch=4, **KEYS)
    assert files(tmp_path / "out") == ["predicted_videos/clip.jsonl", "predicted_videos/clip.mp4"]
    [video] = predictions.videos
    assert (len(predictions), video.frames, video.problem) == (0, 11, None)
    assert repr(predictions) == "Predictions(0 images: ; 1 video)"
    expected = fastitpn.load(checkpoint, device="cpu")([frame.image for frame in read(clip)], 2)
    rows = rows_of(video.lines)
    assert [row["frame"] for row in rows] == list(range(11))
    assert [row["time_s"] for row in rows] == pytest.approx([number / 10 for number in range(11)])
    for row, one in zip(rows, expected, strict=True):
        assert set(row) == {"frame", "time_s", "labels", "scores"}
        assert row["labels"] == list(one.labels)
        assert row["scores"] == pytest.approx(one.scores, abs=1e-5)
    drawn, given = read(video.video), read(clip)
    assert [frame.time_s for frame in drawn] == pytest.approx([frame.time_s for frame in given])
    assert drawn[0].image.size == (480, 320)  # enlarged, so that names can be read
    corner = np.asarray(drawn[0].image, int)[:40, :80] - np.asarray(given[0].image.resize((480, 320)), int)[:40, :80]
    assert abs(corner).mean() > 20  # the panel
    printed = capsys.readouterr().out
    assert "clip.mp4" in printed
    assert "clip.jsonl" in printed


def test_masks(segmenter_run, clip, tmp_path):
    [video] = fastitpn.predict(segmenter_run.directory, clip, out=tmp_path / "out", **KEYS).videos
    expected = fastitpn.load(segmenter_run.directory, device="cpu")([frame.image for frame in read(clip)])
    for row, one in zip(rows_of(video.lines), expected, strict=True):
        assert "path" not in row
        assert [found["name"] for found in row["classes"]] == [found.name for found in one.found]
        for found, known in zip(row["classes"], one.found, strict=True):
            assert np.array_equal(coco_masks.decode(found["mask"]).astype(bool), one.labels == known.label)


def test_things(detector_run, clip, tmp_path):
    [video] = fastitpn.predict(detector_run.directory, clip, out=tmp_path / "out", min_score=0.1, **KEYS).videos
    expected = fastitpn.load(detector_run.directory, device="cpu")([frame.image for frame in read(clip)], 0.1)
    for row, one in zip(rows_of(video.lines), expected, strict=True):
        assert row["things"] == json.loads(json.dumps(one.to_json()["things"]))
    assert read(video.video)[0].image.size == (480, 320)


@pytest.mark.parametrize("run", ["segmenter_run", "detector_run", "classifier_run"])
def test_reuse_computes_nothing_of_a_frame_that_is_the_one_before(run, clip, request, tmp_path, monkeypatch, capsys):
    pictures = [picture for picture in moving(3) for _ in range(2)]
    frames = [Frame(index=number, time_s=number / 10, image=picture) for number, picture in enumerate(pictures)]
    monkeypatch.setattr(Video, "__iter__", lambda self: iter(frames))
    directory = request.getfixturevalue(run).directory
    keys = {**KEYS, "min_score": 0.1} if run == "detector_run" else KEYS
    [plain] = fastitpn.predict(directory, clip, out=tmp_path / "plain", **keys).videos
    assert "tokens" not in capsys.readouterr().out
    [kept] = fastitpn.predict(directory, clip, out=tmp_path / "kept", reuse=True, reuse_threshold=0, **keys).videos
    assert "clip.mp4: 50% of the tokens were computed" in capsys.readouterr().out
    assert kept.frames == 6
    for row, other in zip(rows_of(kept.lines), rows_of(plain.lines), strict=True):
        assert rounded(row) == rounded(other)


def rounded(row) -> str:
    """A line of results, with numbers to three digits."""
    return json.dumps(json.loads(json.dumps(row), parse_float=lambda text: round(float(text), 3)))


def test_reuse_and_compile_at_once(checkpoint, clip):
    with pytest.raises(InputError, match="reuse: expected false with compile=true, got true"):
        fastitpn.predict(checkpoint, clip, reuse=True, compile=True)


def test_a_damaged_video_keeps_what_was_before(checkpoint, clip, tmp_path, capsys):
    long = write_video(tmp_path / "long.mp4", moving(30))
    broken = cut(long, tmp_path / "broken.mkv", 0.6)
    out = tmp_path / "out"
    assert main(["predict", str(checkpoint), str(broken), f"out={out}", "device=cpu"]) == 2
    said = capsys.readouterr().err
    kept = read(out / "predicted_videos" / "broken.mp4")
    assert f"the video ends after frame {len(kept) - 1}, at " in said
    assert f"the {len(kept)} frames before are kept" in said
    assert 5 < len(kept) < 30
    assert len(rows_of(out / "predicted_videos" / "broken.jsonl")) == len(kept)


def test_a_folder_of_images_and_videos(checkpoint, clip, tmp_path, capsys):
    folder = clip.parent
    moving(1)[0].save(folder / "still.png")
    write_video(folder / "more" / "clip.mp4", moving(3))
    cut(write_video(tmp_path / "long.mp4", moving(30)), folder / "short.mkv", 0.6)
    (folder / "none.webm").write_text("text")
    predictions = fastitpn.predict(checkpoint, folder, out=folder / "out", **KEYS)
    assert [one.path.name for one in predictions] == ["still.png"]
    assert [(one.path.name, one.problem is None) for one in predictions.videos] == [
        ("clip.mp4", True),
        ("clip.mp4", True),
        ("short.mkv", False),
    ]
    names = [f"predicted_videos/{name}{end}" for name in ("clip", "more/clip", "short") for end in (".jsonl", ".mp4")]
    assert files(folder / "out") == sorted([*names, "contact_sheet.png", "pictures/still.png", "predictions.jsonl"])
    said = capsys.readouterr().err
    assert "none.webm: cannot read this video" in said
    assert "short.mkv: the video ends after frame" in said
    again = fastitpn.predict(checkpoint, folder, out=folder / "out", **KEYS)  # its own videos are no source
    assert [one.path for one in again.videos] == [one.path for one in predictions.videos]


def test_no_more_than_a_batch_is_in_memory(checkpoint, clip, tmp_path, monkeypatch):
    read_so_far, written = [], []
    from fastitpn.inference import predict_video

    frames = predict_video.Video.__iter__
    write = predict_video.VideoWriter.write

    def count(video):
        for frame in frames(video):
            read_so_far.append(frame.index)
            assert len(read_so_far) - len(written) <= 2
            yield frame

    monkeypatch.setattr(predict_video.Video, "__iter__", count)
    monkeypatch.setattr(predict_video.VideoWriter, "write", lambda *args: (written.append(1), write(*args)))
    fastitpn.predict(checkpoint, clip, out=tmp_path / "out", batch=2, **KEYS)
    assert len(written) == 11


def test_ctrl_c_keeps_what_is_done(checkpoint, clip, tmp_path, monkeypatch, capsys):
    from fastitpn.inference.predict_video import Video

    frames = Video.__iter__

    def interrupted(video):
        for frame in frames(video):
            if frame.index == 6:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(Video, "__iter__", interrupted)
    out = tmp_path / "out"
    assert main(["predict", str(checkpoint), str(clip), f"out={out}", "device=cpu", "batch=2"]) == 130
    assert "stopped after 6 frames, which are kept" in capsys.readouterr().err
    assert len(read(out / "predicted_videos" / "clip.mp4")) == 6
    assert len(rows_of(out / "predicted_videos" / "clip.jsonl")) == 6


def test_a_video_without_a_frame_leaves_nothing(checkpoint, tmp_path):
    (tmp_path / "clip.mp4").write_text("text")
    with pytest.raises(InputError, match="cannot read this video"):
        fastitpn.predict(checkpoint, tmp_path / "clip.mp4", out=tmp_path / "out", **KEYS)
    assert files(tmp_path / "out") == []


def test_the_order_of_frames_is_that_of_their_numbers(tmp_path):
    names = ["frame1.png", "frame2.png", "frame10.png", "part2/1.png", "part10/1.png"]
    for name in names:
        (tmp_path / "frames" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "frames" / name)
    found = find_inputs(tmp_path / "frames", tmp_path / "out", ())
    assert [path.relative_to(tmp_path / "frames").as_posix() for path in found.images] == names
    assert find_inputs(tmp_path / "frames" / "*10.png", tmp_path / "out", ()).images == [
        tmp_path / "frames/frame10.png"
    ]
    with pytest.raises(InputError, match="all that is here was written by this command"):
        find_inputs(tmp_path / "frames", tmp_path, ("frames",))
