"""`fastitpn finetune segment`, `evaluate` and `predict` from the command line, with good and with bad input."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from tiny_runs import TRAINING, words

from fastitpn.cli.main import main

ADVICE = re.compile(r"(.+?)\n  where:    (.+?)\n  expected: (.+?)\n  fix:      (.+)\n", re.S)


@pytest.fixture
def data(segment_scenes, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(segment_scenes, tmp_path / "data")


def colour_mask(data):
    path = data / "masks" / "train" / "000001.png"
    with Image.open(path) as image:
        Image.fromarray(np.asarray(image.convert("RGB")) // 2 + np.uint8([1, 2, 3])).save(path)
    return path, "it holds colours, not numbers of classes"


def missing_mask(data):
    (data / "masks" / "train" / "000001.png").unlink()
    return data / "images" / "train" / "000001.jpg", "this image has no mask"


def other_size(data):
    path = data / "masks" / "val" / "000001.png"
    with Image.open(path) as image:
        image.crop((0, 0, 20, 20)).save(path)
    return path, "a mask of 20x20 px for an image of"


def other_labels(data):
    path = data / "masks" / "train" / "000002.png"
    with Image.open(path) as image:
        numbers = np.array(image)
    numbers[:9, :9] = 77
    Image.fromarray(numbers).save(path)
    return path, "numbers outside of the classes: 77 (81 pixels)"


def damaged_image(data):
    path = data / "images" / "train" / "000003.jpg"
    path.write_bytes(path.read_bytes()[:300])
    return path, "cannot read this image"


@pytest.mark.parametrize("spoil", [colour_mask, missing_mask, other_size, other_labels, damaged_image])
def test_bad_input_ends_with_one_message_by_file(data, spoil, tmp_path, capsys):
    path, what = spoil(data)
    assert main(["finetune", "segment", *words(data=data, out=tmp_path / "out", **TRAINING)]) == 2
    opening, _, said = capsys.readouterr().err.partition("\n")
    assert opening == f"fastitpn finetune segment: reads {data}, writes to {tmp_path / 'out'}"
    assert "Traceback" not in said
    parts = ADVICE.fullmatch(said.lstrip("\n"))
    assert parts, said
    assert parts[1] == "1 of 15 images and masks cannot be used"
    assert f"{path}: " in parts[2]
    assert what in parts[2]
    assert parts[4].endswith("on_error=skip")
    assert not (tmp_path / "out").exists()


def test_the_whole_way_with_coco_masks(detect_scenes, tmp_path, capsys):
    """Things in COCO's format become classes of pixels beside the background."""
    keys = {**TRAINING, "data": detect_scenes, "out": tmp_path / "run", "head": "linear", "scratch": "true"}
    assert main(["finetune", "segment", *words(**keys)]) == 0
    small = words(device="cpu", workers=0)
    for more in ([], ["acceleration=fast"]):
        out = tmp_path / f"evaluated{len(more)}"
        assert main(["evaluate", str(tmp_path / "run"), str(detect_scenes), f"out={out}", *small, *more]) == 0
    figures = json.loads((tmp_path / "evaluated0" / "evaluation.json").read_text())
    assert figures["classes"][0] == "background"
    assert sum(map(sum, figures["confusion_matrix"])) > 0
    masks = sorted(detect_scenes.glob("val/*.jpg"))
    assert main(["predict", str(tmp_path / "run"), str(masks[0]), f"out={tmp_path / 'p'}", *small]) == 0


def test_the_whole_way(data, segmenter_run, tmp_path, capsys):
    colour_mask(data)
    keys = {**TRAINING, "data": data, "out": tmp_path / "run", "head": "linear", "on_error": "skip", "scratch": True}
    assert main(["finetune", "segment", *words(**{**keys, "scratch": "true"})]) == 0
    assert "1 of 15 images are skipped" in capsys.readouterr().out
    run = str(tmp_path / "run")
    small = words(device="cpu", workers=0)
    assert main(["evaluate", run, str(data), f"out={tmp_path / 'e'}", *small]) == 0
    assert "IoU by class" in capsys.readouterr().out
    assert main(["predict", run, str(data / "images" / "val"), f"out={tmp_path / 'p'}", *small]) == 0
    assert len(list((tmp_path / "p" / "masks").iterdir())) == 5
    assert main(["inspect", run]) == 0
    assert "task segment" in capsys.readouterr().out


def test_help_lists_the_task(capsys):
    assert main(["finetune", "--help"]) == 0
    assert "finetune segment" in capsys.readouterr().out
