"""A detector as a file: what it finds is what the model finds."""

import json
import subprocess
import sys

import pytest
import torch
from made_models import make_checkpoint
from PIL import Image
from tiny_runs import SHORT, files

import fastitpn
from fastitpn.errors import InputError
from fastitpn.exporting.onnx_file import open_onnx
from fastitpn.tasks.detect.export_parity import compare_detections
from fastitpn.tasks.detect.heads.base import paste_masks
from fastitpn.tasks.detect.model import create_detector
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS

SMALL = {"width": 64, "queries": 12, "encoder_layers": 1, "decoder_layers": 1, "ffn_ratio": 2, "detections": 10}
FEW = {"proposals": 100, "detections": 20}
PUBLISHED = {"box_head": "conv", "box_loss": "giou", "sampling": 0, "own_regions": True}
"""What the published cascade has beyond what the first one's export covers."""


@pytest.fixture(scope="module")
def dino(detector_run, tmp_path_factory):
    """A checkpoint of a small detector; its first weights, a little more decided."""
    checkpoint = torch.load(detector_run.best_checkpoint, weights_only=True)
    checkpoint["model"]["arguments"] |= SHORT
    checkpoint["detector"] = {"name": "dino", "arguments": SMALL}
    torch.manual_seed(0)
    model = create_detector(checkpoint["model"], checkpoint["detector"], len(checkpoint["classes"]))
    transformer = model.network.transformer
    for head in (transformer.enc_out_class_embed, transformer.decoder.class_embed):
        torch.nn.init.normal_(head.weight, std=0.5)
    path = tmp_path_factory.mktemp("dino") / "dino.ckpt"
    torch.save({**checkpoint, "weights": model.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def dino_onnx(dino, detect_scenes, tmp_path_factory):
    """Of any size and number of images, measured on its data."""
    out = tmp_path_factory.mktemp("export") / "dino"
    return fastitpn.export("onnx", dino, dynamic="all", px=64, data=detect_scenes, limit=4, out=out)


def about(folder) -> dict:
    return json.loads((folder / "model.json").read_text())


@torch.no_grad()
def test_onnx_of_any_size_finds_what_the_model_finds(dino, dino_onnx):
    model, run = load_trained(dino).model, open_onnx(dino_onnx / "model.onnx")
    for batch, height, width in ((1, 64, 64), (2, 96, 48)):
        images = torch.randn(batch, 3, height, width)
        boxes, scores, classes = run(images)
        assert classes.dtype == torch.int64
        pixels = boxes * torch.tensor([width, height]).repeat(2)
        for place, expected in enumerate(model.detect(list(images))):
            torch.testing.assert_close(scores[place], expected["scores"], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(pixels[place], expected["boxes"], rtol=1e-4, atol=1e-3)
            assert classes[place].tolist() == expected["labels"].tolist()


def test_the_description(dino, dino_onnx):
    assert files(dino_onnx) == ["model.json", "model.onnx", "run.py"]
    it = about(dino_onnx)
    assert (it["task"], it["px"], it["outputs"]) == ("detect", [64, 64], ["boxes", "scores", "classes"])
    assert it["input"]["shape"] == ["batch", 3, "height", "width"]
    assert it["classes"] == list(load_trained(dino).about.classes.names)
    assert it["category_ids"] == [1, 2, 3]
    assert it["parity"]["sizes"] == [[64, 64], [80, 112]]
    assert it["parity"]["same_decisions"] >= 0.999
    assert it["quality"]["metric"] == "box_ap"
    assert it["quality"]["file"] == pytest.approx(it["quality"]["model"], abs=1e-3)


def test_the_example_says_what_predict_finds(dino, dino_onnx, detect_scenes, tmp_path):
    picture = tmp_path / "a.png"  # of the size that is looked at: Pillow resizes a little otherwise
    Image.open(next((detect_scenes / "val").rglob("*.jpg"))).resize((64, 64)).save(picture)
    script = (dino_onnx / "run.py").read_text().replace("0.3\n", "0.0\n")
    assert "0.0\n" in script
    (dino_onnx / "all.py").write_text(script)
    words = [sys.executable, "-I", str(dino_onnx / "all.py"), str(picture)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    (dino_onnx / "all.py").unlink()
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert head == f"{picture} (10 found with a score of 0.0 or more)"
    predictor = TASKS.spec("detect").predictor(load_trained(dino).at(64), device="cpu")
    [result] = predictor(picture, 0.0)
    for line, thing in zip(lines, result.instances, strict=True):
        name, score, *corners = line.replace("[", " ").replace("]", " ").replace(",", " ").split()
        assert (name, float(score)) == (thing.name, pytest.approx(thing.score, abs=2e-4))
        assert [float(corner) for corner in corners] == pytest.approx(thing.box, abs=0.1)


@torch.no_grad()
def test_torch_export_with_acceleration(dino, tmp_path):
    out = fastitpn.export("torch_export", dino, px=64, acceleration="fast", limit=4, out=tmp_path / "a")
    assert about(out)["acceleration"]["name"] == "fast"
    run = torch.export.load(out / "model.pt2").module()
    images = torch.randn(3, 3, 64, 64)
    fast, plain = (load_trained(dino, name).model.detect_whole(images) for name in ("fast", "off"))
    found = run(images)
    torch.testing.assert_close(found[1], fast[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[1], plain[1], rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize(("detector", "acceleration"), [("mask_rcnn", "fast"), ("cascade_mask_rcnn", "off")])
def test_a_detector_of_torchvision_image_by_image(detector, acceleration, detector_run, detect_scenes, tmp_path):
    checkpoint = torch.load(detector_run.best_checkpoint, weights_only=True)
    checkpoint["detector"] = {"name": detector, "arguments": {**checkpoint["detector"]["arguments"], **FEW}}
    if detector != "mask_rcnn":
        torch.manual_seed(0)
        checkpoint["model"]["arguments"] |= SHORT
        checkpoint["detector"]["arguments"] |= PUBLISHED
        model = create_detector(checkpoint["model"], checkpoint["detector"], 3)
        for predictor in model.roi_heads.box_predictors:
            torch.nn.init.normal_(predictor.cls_score.weight, std=0.5)
        checkpoint["weights"] = model.state_dict()
    torch.save(checkpoint, tmp_path / "a.ckpt")
    keys = {"dynamic": "off", "px": 64, "limit": 4, "data": detect_scenes, "acceleration": acceleration}
    out = fastitpn.export("onnx", tmp_path / "a.ckpt", out=tmp_path / "a", **keys)
    it = about(out)
    assert it["outputs"] == ["boxes", "scores", "classes", "masks"]
    assert it["parity"]["same_decisions"] >= 0.999
    assert it["quality"]["file"] == pytest.approx(it["quality"]["model"], abs=1e-3)
    assert b"site-packages" not in (out / "model.onnx").read_bytes()
    model, run = load_trained(tmp_path / "a.ckpt", acceleration).model, open_onnx(out / "model.onnx")
    counts = set()
    for scale in (0.1, 1, 3):
        images = scale * torch.randn(1, 3, 64, 64)
        found, expected = run(images), model.detect_whole(images)
        assert [part.shape for part in found] == [part.shape for part in expected]
        for part, own in zip(found, expected, strict=True):
            torch.testing.assert_close(part, own, rtol=1e-3, atol=1e-4)
        counts.add(len(found[1][0]))
    assert counts != {0}


@torch.no_grad()
def test_mask2former_finds_in_a_graph_what_it_finds(tmp_path):
    model = load_trained(make_checkpoint("mask2former_detector", tmp_path)).model
    images = torch.randn(2, 3, 64, 96)
    images[1, :, 48:], images[1, :, :, 64:] = 0, 0
    whole = model.detect_whole(images)
    sizes = [(64, 96), (48, 64)]
    for place, own in enumerate(model.canvas_detections(images, sizes)):
        own = model.resized(own, sizes[place], sizes[place])
        seen = whole[1][place] > 0
        boxes, scores, labels, masks = (part[place][seen] for part in whole)
        torch.testing.assert_close(scores, own["scores"], rtol=1e-4, atol=1e-6)
        assert torch.equal(labels, own["labels"])
        torch.testing.assert_close(boxes * torch.tensor([96, 64, 96, 64]), own["boxes"], rtol=0, atol=1e-3)
        pasted = paste_masks(masks, own["boxes"], sizes[place])
        assert ((pasted & own["masks"]).sum() / (pasted | own["masks"]).sum()) > 0.9
    assert (whole[1] > 0).any(1).all()


@pytest.mark.parametrize("form", ["onnx", "openvino", "torch_export", "torchscript"])
def test_mask2former_as_a_file(form, tmp_path):
    checkpoint = make_checkpoint("mask2former_detector", tmp_path)
    it = about(fastitpn.export(form, checkpoint, limit=2, out=tmp_path / "a"))
    assert it["input"]["dynamic"] == "batch"
    assert it["outputs"] == ["boxes", "scores", "classes", "masks"]
    assert it["parity"]["same_decisions"] >= 0.999


def test_what_cannot_be_exported_names_what_can(detector_run, dino, tmp_path):
    with pytest.raises(InputError, match=r"for one image at a time(.*\n)*.*format=onnx dynamic=off"):
        fastitpn.export("onnx", detector_run.directory, dynamic="batch", out=tmp_path / "a")
    with pytest.raises(InputError, match=r"in fp16(.*\n)*.*precision=fp32"):
        fastitpn.export("onnx", dino, precision="fp16", out=tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    out = fastitpn.export("torchscript", dino, part="pyramid", px=64, limit=4, out=tmp_path / "a")
    assert about(out)["outputs"] == ["p8", "p16", "p32", "p64"]  # the detector has no use for the finest level


BOXES = torch.tensor([[[0.1, 0.1, 0.4, 0.5], [0.2, 0.2, 0.9, 0.8], [0.5, 0.5, 0.6, 0.6]]])
SCORES, CLASSES = torch.tensor([[0.9, 0.5, 0.1]]), torch.tensor([[0, 1, 1]])


def test_the_same_detections_in_another_order():
    order = [1, 0, 2]
    swapped = [part[:, order] for part in (BOXES, SCORES, CLASSES)]
    assert compare_detections(swapped, [BOXES, SCORES, CLASSES], 1e-4) == (0.0, 2, 2)  # the last may be cut off


def test_a_difference_is_measured_and_another_thing_counted():
    moved, other = BOXES.clone(), CLASSES.clone()
    moved[0, 0, 2] += 0.01
    difference, same, number = compare_detections([moved, SCORES, CLASSES], [BOXES, SCORES, CLASSES], 1e-4)
    assert difference == pytest.approx(0.01, abs=1e-6)
    assert (same, number) == (2, 2)
    other[0, 0] = 1
    assert compare_detections([BOXES, SCORES, other], [BOXES, SCORES, CLASSES], 1e-4)[1:] == (1, 2)
    moved[0, 0] += 0.2
    assert compare_detections([moved, SCORES, CLASSES], [BOXES, SCORES, CLASSES], 1e-4)[1:] == (1, 2)


def test_one_detection_does_not_stand_for_two():
    twice = [torch.cat([part, part], 1) for part in (BOXES, SCORES, CLASSES)]
    once = [part[:, [0, 1, 2, 1, 1, 2]] for part in (BOXES, SCORES, CLASSES)]
    assert compare_detections(twice, twice, 1e-4)[1:] == (4, 4)
    assert compare_detections(once, twice, 1e-4)[1] < 4


def test_numbers_that_are_none():
    broken = BOXES * float("nan")
    difference, same, _ = compare_detections([broken, SCORES, CLASSES], [BOXES, SCORES, CLASSES], 1e-4)
    assert difference != difference
    assert same == 0
