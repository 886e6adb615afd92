"""`fastitpn finetune detect`, `evaluate` and `predict` from the command line, with good and with bad input."""

import json
import re
import shutil

import pytest
from tiny_runs import TRAINING, words

from fastitpn.cli.main import main

ADVICE = re.compile(r"(.+?)\n  where:    (.+?)\n  expected: (.+?)\n  fix:      (.+)\n", re.S)


@pytest.fixture
def data(detect_scenes, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(detect_scenes, tmp_path / "data")


def change(data, part, alter):
    file = data / f"annotations_{part}.json"
    content = json.loads(file.read_text())
    alter(content)
    file.write_text(json.dumps(content))
    return file


def unknown_category(data):
    return change(data, "train", lambda c: c["annotations"][1].update(category_id=99)), "annotation 2"


def outside(data):
    return change(data, "val", lambda c: c["annotations"][0].update(bbox=[500, 500, 9, 9])), "annotation 1"


def no_size(data):
    return change(data, "train", lambda c: c["annotations"][3].update(bbox=[1, 1, 0, 5])), "annotation 4"


def missing_image(data):
    (data / "train" / "000001.jpg").unlink()
    return data / "train" / "000001.jpg", "image 2"


def of_no_image(data):
    return change(data, "train", lambda c: c["annotations"][2].update(image_id=4711)), "there is no image 4711"


def image_twice(data):
    return change(data, "train", lambda c: c["images"][5].update(id=5)), "its id is that of 000004.jpg and of"


def twice(data):
    return change(data, "train", lambda c: c["annotations"][1].update(id=1)), "annotation 1"


def cut(data):
    file = data / "annotations_train.json"
    file.write_text(file.read_text()[: file.stat().st_size // 2])
    return file, "this JSON file ends in the middle"


def damaged_image(data):
    path = data / "train" / "000003.jpg"
    path.write_bytes(path.read_bytes()[:300])
    return path, "cannot read this image"


SKIPPED = (unknown_category, outside, no_size, of_no_image, image_twice, missing_image, damaged_image)


@pytest.mark.parametrize("spoil", [*SKIPPED, twice, cut])
def test_bad_input_ends_with_one_message(data, spoil, tmp_path, capsys):
    path, what = spoil(data)
    assert main(["finetune", "detect", *words(data=data, out=tmp_path / "out", **TRAINING)]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    parts = ADVICE.fullmatch(said)
    assert parts, said
    assert str(path) in parts[2]
    assert what in parts[1] + parts[2]
    assert not (tmp_path / "out").exists()


def test_skipped_it_is_counted_and_all_epochs_end(data, tmp_path, capsys):
    for spoil in SKIPPED:
        spoil(data)
    keys = {**TRAINING, "data": data, "out": tmp_path / "run", "detector": "faster_rcnn", "on_error": "skip"}
    assert main(["finetune", "detect", *words(**{**keys, "steps": 6}, scratch="true")]) == 0
    log = (tmp_path / "run" / "log.txt").read_text()
    [counts] = re.findall("on_error=skip: (.*)", log)
    assert counts in capsys.readouterr().out
    for kind in (
        "1 x unknown category",
        "1 x box outside of its image",
        "1 x box of no size",
        "x annotation of a missing image",
        "1 x duplicate image id",
        "1 x missing image file",
        "1 x image that cannot be read",
    ):
        assert kind in counts


def test_a_folder_without_annotations(scenes, tmp_path, capsys):
    keys = words(data=scenes.unlabelled, out=tmp_path / "out", **TRAINING)
    assert main(["finetune", "detect", *keys]) == 2
    said = capsys.readouterr().err
    assert ADVICE.fullmatch(said)
    assert "no COCO annotations to use in this folder" in said


def test_all_wrong_keys_at_once(data, capsys):
    keys = words(data=data, detector="maskrcnn", min_score=0.5, px=100)
    assert main(["finetune", "detect", *keys]) == 2
    said = capsys.readouterr().err
    for part in ("did you mean mask_rcnn?", "min_score", "px: expected"):
        assert part in said


def test_the_whole_way(data, tmp_path, capsys):
    unknown_category(data)
    keys = {**TRAINING, "data": data, "out": tmp_path / "run", "detector": "faster_rcnn", "on_error": "skip"}
    for _ in range(2):  # done already, it only says so
        assert main(["finetune", "detect", *words(**keys, scratch="true")]) == 0
        said = capsys.readouterr()
        assert "1 annotation left out (1 x unknown category)" in said.out
        assert f"this run is complete: {tmp_path / 'run' / 'report.html'}" in said.out
    assert re.search(r"evaluation after step \d+: box_ap [\d.e-]+ %", (tmp_path / "run" / "log.txt").read_text())
    run = str(tmp_path / "run")
    small = words(device="cpu", workers=0)
    assert main(["evaluate", run, str(data), f"out={tmp_path / 'e'}", "on_error=skip", *small]) == 0
    assert "Average precision by class" in capsys.readouterr().out
    assert main(["predict", run, str(data / "val"), f"out={tmp_path / 'p'}", *small]) == 0
    assert len(list((tmp_path / "p" / "pictures").iterdir())) == 5
    assert main(["inspect", run]) == 0
    said = capsys.readouterr().out
    assert "task detect" in said
    assert "detector faster_rcnn" in said


def test_help_lists_the_task_and_its_keys(capsys):
    assert main(["finetune", "--help"]) == 0
    assert "finetune detect" in capsys.readouterr().out
    assert main(["finetune", "detect", "--help"]) == 0
    assert "cascade_mask_rcnn" in capsys.readouterr().out
