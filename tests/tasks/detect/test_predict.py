"""`fastitpn predict` with a checkpoint of a detector."""

import json

import pytest
from PIL import Image
from tiny_runs import files

import fastitpn
from fastitpn.errors import InputError
from fastitpn.tasks.detect.results import Detections


def predict(run, source, out, **keys) -> Detections:
    result = fastitpn.predict(run.directory, source, out=out, **{"device": "cpu", "workers": 0, **keys})
    assert isinstance(result, Detections)
    return result


def test_a_folder(detector_run, folder, tmp_path, capsys):
    (folder / "near" / "broken.jpg").write_text("text")
    predictions = predict(detector_run, folder, tmp_path / "out", min_score=0.2)
    names = ["near/astronaut", "near/camera", "near/chelsea", "far/away/coffee", "far/away/rocket"]
    written = [f"pictures/{name}.png" for name in names]
    assert files(tmp_path / "out") == sorted([*written, "coco.json", "contact_sheet.png", "predictions.jsonl"])
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert rows == json.loads(json.dumps([one.to_json() for one in predictions]))
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert {image["file_name"] for image in content["images"]} == {
        str(one.path.relative_to(folder)) for one in predictions
    }
    assert len(content["annotations"]) == sum(len(row["things"]) for row in rows)
    said = capsys.readouterr().out
    for part in (
        "found with a score from 0.2 on",
        "1 file skipped",
        "broken.jpg: cannot read this image",
        "images: ",
    ):
        assert part in said


def test_one_image_in_another_size(detector_run, folder, tmp_path):
    one = predict(detector_run, folder / "near" / "chelsea.png", tmp_path / "out", px=48, max_px=48, min_score=0)
    assert "pictures/chelsea.png" in files(tmp_path / "out")
    with Image.open(folder / "near" / "chelsea.png") as image:
        assert one[0].size == image.size


def test_what_an_earlier_call_wrote_is_no_image_to_predict(detector_run, folder):
    first = predict(detector_run, folder, folder / "out", min_score=1)
    again = predict(detector_run, folder, folder / "out", min_score=1)
    assert len(first) == len(again) == 5
    assert again[0].summary() == "nothing"


def test_what_is_refused(detector_run, classifier_run, segmenter_run, folder, tmp_path):
    with pytest.raises(InputError, match="top_k: not used for a checkpoint of the task 'detect'"):
        predict(detector_run, folder, tmp_path, top_k=2)
    with pytest.raises(InputError, match="stride: not used for a checkpoint of the task 'detect'"):
        predict(detector_run, folder, tmp_path, stride=16)
    for run, task in ((classifier_run, "classify"), (segmenter_run, "segment")):
        with pytest.raises(InputError, match=f"min_score: not used for a checkpoint of the task '{task}'"):
            fastitpn.predict(run.directory, folder, out=tmp_path, min_score=0.7)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_text("text")
    with pytest.raises(InputError, match="none of the 1 images can be read"):
        predict(detector_run, tmp_path / "bad", tmp_path / "out")


def test_another_size_for_the_other_tasks(classifier_run, segmenter_run, folder, tmp_path):
    for run in (classifier_run, segmenter_run):
        assert len(fastitpn.predict(run.directory, folder, out=tmp_path, px=64, device="cpu", workers=0)) == 5


def test_pictures_of_an_earlier_call_are_counted(detector_run, folder, tmp_path, capsys):
    predict(detector_run, folder / "near", tmp_path / "out")
    assert "of earlier calls" not in capsys.readouterr().out
    predict(detector_run, folder / "far", tmp_path / "out")
    said = capsys.readouterr().out
    assert f"{tmp_path / 'out' / 'pictures'} also has 3 pictures of earlier calls" in said
    assert f"finetune detect data={tmp_path / 'out' / 'coco.json'} images={folder / 'far'}" in said
