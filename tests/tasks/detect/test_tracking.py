"""Objects keep their numbers from frame to frame: through a crossing, a gap and a low score, and no longer."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from video_example import moving, write_video

from fastitpn.inference.predicting import run_prediction
from fastitpn.inference.sources import collect_sources
from fastitpn.models.frame_reuse import FrameReuse
from fastitpn.tasks.detect.prediction import DetectPrediction
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.results import DetectedInstance, ImageDetections
from fastitpn.tasks.detect.tracking import Tracker, overlaps

[SOURCE] = collect_sources(Image.new("RGB", (400, 300)))
NAMES = ("cat", "dog")


def frame(*objects: tuple[int, float, float, float]) -> ImageDetections:
    """Label, score, left and top of each object; all are 20 px wide and 30 px high."""
    instances = tuple(
        DetectedInstance(name=NAMES[label], label=label, score=score, box=(left, top, left + 20, top + 30))
        for label, score, left, top in objects
    )
    return ImageDetections(index=0, path=None, source=SOURCE, size=(400, 300), instances=instances, classes=NAMES)


def numbers(frames: list[ImageDetections]) -> list[list[int | None]]:
    tracker = Tracker(0.5)
    return [[instance.track for instance in tracker.follow(shown).instances] for shown in frames]


def test_two_that_pass_each_other_keep_their_numbers():
    frames = [frame((0, 0.9, 10 + 6 * t, 50), (0, 0.9, 250 - 6 * t, 58)) for t in range(40)]
    assert numbers(frames) == [[1, 2]] * 40


def test_neighbours_of_another_class_are_others():
    frames = [frame((t % 2, 0.9, 50, 50)) for t in range(3)]
    assert numbers(frames) == [[1], [2], [3]]  # each was seen once alone


def test_an_unsure_detection_goes_on_with_a_track_and_begins_none():
    frames = [frame((0, 0.9 if t < 3 or t > 6 else 0.2, 10 + 4 * t, 50), (0, 0.2, 300, 200)) for t in range(10)]
    assert numbers(frames) == [[1]] * 10


@pytest.mark.parametrize(("unseen", "number"), [(10, 1), (30, 1), (31, 2)])
def test_a_track_outlives_a_gap_of_thirty_frames(unseen, number):
    frames = [frame((0, 0.9, 10 + 2 * t, 50)) for t in range(10)]
    frames += [frame()] * unseen
    frames += [frame((0, 0.9, 10 + 2 * (10 + unseen), 50))]
    seen = numbers(frames)
    assert seen[:10] == [[1]] * 10
    assert seen[10:-1] == [[]] * unseen
    assert seen[-1] == [number]


def test_the_filter_follows_a_constant_velocity():
    tracker = Tracker(0.5)
    for t in range(20):
        tracker.follow(frame((0, 0.9, 10 + 7 * t, 50 - 2 * t)))
    [track] = tracker._tracks
    assert track.state[:, 1] == pytest.approx([7, -2, 0, 0], abs=0.2)
    track.predict()
    assert track.box == pytest.approx([150, 10, 170, 40], abs=1.5)
    assert np.linalg.eigvalsh(track.covariance).min() > 0


def test_overlaps():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30.0]])
    assert overlaps(boxes[:1], boxes)[0].tolist() == pytest.approx([1, 1 / 3, 0])


@pytest.mark.parametrize("reuse", [False, True])
def test_numbers_are_in_the_lines_the_table_and_the_names(reuse, create, classes, tmp_path, monkeypatch, capsys):
    clip = write_video(tmp_path / "clip.mp4", moving(4))
    model = create("faster_rcnn")
    predictor = DetectPredictor(model, classes=classes, px=32, max_px=64, mean=(0.5,) * 3, std=(0.5,) * 3, device="cpu")
    shown = iter([frame((0, 0.9, 10 + 4 * t, 5), (1, 0.2 + 0.6 * (t == 1), 60, 20)) for t in range(4)])
    least = []
    monkeypatch.setattr(
        predictor, "predict_batch", lambda images, min_score: [least.append(min_score) or next(shown) for _ in images]
    )
    prediction = DetectPrediction(predictor, min_score=0.5, track=True)
    prediction.choose_writers(["csv"])
    prediction.reuse = FrameReuse(model.backbone) if reuse else None
    [video] = run_prediction(prediction, clip, tmp_path / "out", workers=0).videos
    rows = [json.loads(line) for line in video.lines.read_text().splitlines()]
    assert [[thing["track"] for thing in row["things"]] for row in rows] == [[1], [1, 2], [1, 2], [1]][:2] + [
        [1, 2]
    ] * 2
    with video.lines.with_suffix(".csv").open() as file:
        table = [(row["frame"], row["class"], row["track"]) for row in csv.DictReader(file)]
    assert table[:3] == [("0", "cat", "1"), ("1", "cat", "1"), ("1", "dog", "2")]
    assert set(least) == {0.1}
    assert "clip.mp4: 2 objects were followed" in capsys.readouterr().out
    prediction.choose_writers(["csv", "crops"])
    shown = iter([frame()] * 4)
    run_prediction(prediction, clip, tmp_path / "again", workers=0)
    moving(1)[0].save(tmp_path / "still.png")
    shown = iter([replace(frame(), path=tmp_path / "still.png")])
    run_prediction(prediction, tmp_path / "still.png", tmp_path / "still", workers=0)
    said = capsys.readouterr().out
    assert "write=crops is for images" in said
    assert "track=true is only for videos, but the source has no video" in said
    assert frame((0, 0.9, 1, 1)).instances[0].title == "cat 0.90"
    assert Tracker(0.5).follow(frame((0, 0.9, 1, 1))).instances[0].title == "cat #1 0.90"
