"""`fastitpn predict` with a checkpoint of a segmentation."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_runs import files

import fastitpn
from fastitpn.errors import InputError
from fastitpn.tasks.segment.results import Segmentations


def predict(run, source, out, **keys) -> Segmentations:
    result = fastitpn.predict(run.directory, source, out=out, **{"device": "cpu", "workers": 0, **keys})
    assert isinstance(result, Segmentations)
    return result


def test_a_folder(segmenter_run, folder, tmp_path, capsys):
    (folder / "near" / "broken.jpg").write_text("text")
    predictions = predict(segmenter_run, folder, tmp_path / "out")
    names = ["near/astronaut", "near/camera", "near/chelsea", "far/away/coffee", "far/away/rocket"]
    written = [f"{kind}/{name}.png" for kind in ("masks", "overlays") for name in names]
    assert files(tmp_path / "out") == sorted([*written, "contact_sheet.png", "predictions.jsonl"])
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert rows == [one.to_json() for one in predictions]
    for row, one in zip(rows, predictions, strict=True):
        with Image.open(row["mask"]) as mask, Image.open(row["path"]) as image:
            assert (mask.mode, mask.size) == ("P", image.size)
            assert np.array_equal(np.asarray(mask), one.labels)
    said = capsys.readouterr().out
    for part in ("background", "1 file skipped", "broken.jpg: cannot read this image", "masks: "):
        assert part in said


def test_one_image(segmenter_run, folder, tmp_path):
    predict(segmenter_run, folder / "near" / "chelsea.png", tmp_path / "out", inference="slide", flip=True)
    assert "masks/chelsea.png" in files(tmp_path / "out")


def test_names_that_would_clash(segmenter_run, folder, tmp_path):
    with Image.open(folder / "near" / "chelsea.png") as image:
        image.save(folder / "near" / "chelsea.jpg")
    predict(segmenter_run, folder / "near", tmp_path / "out")
    masks = [name for name in files(tmp_path / "out") if name.startswith("masks")]
    assert masks == ["masks/astronaut.png", "masks/camera.png", "masks/chelsea.jpg.png", "masks/chelsea.png.png"]


def test_what_an_earlier_call_wrote_is_no_image_to_predict(segmenter_run, folder):
    first = predict(segmenter_run, folder, folder / "out")
    again = predict(segmenter_run, folder, folder / "out")
    assert len(first) == len(again) == 5


def test_what_is_refused(segmenter_run, classifier_run, folder, tmp_path):
    with pytest.raises(InputError, match="top_k: not used for a checkpoint of the task 'segment'"):
        predict(segmenter_run, folder, tmp_path, top_k=2)
    with pytest.raises(InputError, match="scales: not used for a checkpoint of the task 'classify'"):
        fastitpn.predict(classifier_run.directory, folder, out=tmp_path, scales=(1, 2))
    with pytest.raises(InputError, match="a stride of 99 px leaves gaps between windows of 32 px"):
        predict(segmenter_run, folder, tmp_path, stride=99)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_text("text")
    with pytest.raises(InputError, match="none of the 1 images can be read"):
        predict(segmenter_run, tmp_path / "bad", tmp_path / "out")
