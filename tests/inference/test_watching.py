"""A folder that is watched: images are predicted once each, when they are complete."""

import json

import pytest
from PIL import Image
from tiny_runs import files

from fastitpn.errors import InputError
from fastitpn.inference import watching
from fastitpn.inference.watching import NewImages, watch
from fastitpn.tasks.classify.prediction import ClassifyPrediction
from fastitpn.tasks.predicting import load


def png(path, color="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), color).save(path)
    return path


def test_an_image_is_new_once_and_when_it_grows_no_more(tmp_path):
    whole = png(tmp_path / "whole.png").read_bytes()
    (tmp_path / "empty.png").touch()
    png(tmp_path / "out" / "written.png")
    new = NewImages(tmp_path, [tmp_path / "out"])
    assert new() == []
    assert new() == [tmp_path / "whole.png"]
    part = tmp_path / "part.png"
    for end in (10, 30, len(whole)):
        part.write_bytes(whole[:end])
        assert new() == []
    assert new() == [part]
    assert new() == []


@pytest.fixture
def prediction(checkpoint):
    prediction = ClassifyPrediction(load(checkpoint, device="cpu"), batch=4, top_k=2)
    prediction.choose_writers(["csv"])
    return prediction


def test_images_are_predicted_as_they_come(prediction, tmp_path, capsys):
    source, out = tmp_path / "in", tmp_path / "in" / "out"
    png(source / "a.png")
    seen = []

    def sleep(_):
        seen.append(len((out / "predictions.jsonl").read_text().splitlines()))
        if len(seen) == 2:
            png(source / "sub" / "b.jpg", "blue")
            (source / "bad.png").write_text("text")
            png(source / "a.jpg")
        if len(seen) == 7:
            raise KeyboardInterrupt

    results = watch(prediction, source, out, sleep=sleep)
    assert seen == [0, 1, 1, 3, 3, 3, 3]
    assert results[0].path.name == "a.png"
    assert {result.path.name for result in results} == {"a.png", "b.jpg", "a.jpg"}
    assert [skip.name for skip in results.skipped] == [str(source / "bad.png")]
    pictures = ["pictures/a.jpg.png", "pictures/a.png", "pictures/sub/b.png"]
    assert files(out) == sorted(["contact_sheet.png", "predictions.csv", "predictions.jsonl", *pictures])
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == [0, 1, 2]
    said = capsys.readouterr()
    assert "stopped: 3 images were predicted" in said.err
    assert said.err.count("bad.png") == 1
    assert "a.png: " in said.out


def test_nothing_came(prediction, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", stop)
    assert len(watch(prediction, tmp_path / "in", tmp_path / "out", sleep=stop)) == 0
    with pytest.raises(InputError, match="watch=true is for a folder"):
        watch(prediction, png(tmp_path / "a.png"), tmp_path / "out")
