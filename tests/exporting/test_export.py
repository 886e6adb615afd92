"""Files that were exported, run without this package's own code where that is possible."""

import json
import re
import zipfile
from pathlib import Path

import onnxruntime
import pytest
import torch
from tiny_runs import SHORT, files

import fastitpn
from fastitpn.cli.main import main
from fastitpn.errors import InputError
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.onnx_file import open_onnx
from fastitpn.exporting.parity import ParityError
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.tasks import exporting
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.segment.model import create_segmenter

TINY_WINDOWS = {"migration": Migration(after_blocks=(1,)), "gathering": Gathering(window=2, global_blocks=1)}


def about(folder: Path) -> dict:
    return json.loads((folder / "model.json").read_text())


def content(file: Path) -> bytes:
    """Of a file; of an archive, of all that is in it."""
    if not zipfile.is_zipfile(file):
        return file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


@torch.no_grad()
def test_onnx_of_any_size_gives_the_logits_of_the_model(classifier_onnx, short_classifier_run):
    assert files(classifier_onnx) == ["model.json", "model.onnx", "run.py"]
    session = onnxruntime.InferenceSession(classifier_onnx / "model.onnx", providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    assert (given.name, given.shape, given.type) == ("images", ["batch", 3, "height", "width"], "tensor(float)")
    assert [output.shape[0] for output in session.get_outputs()] == ["batch"]
    model = load_trained(short_classifier_run.directory).model
    for shape in ((1, 3, 32, 32), (5, 3, 80, 48)):
        images = torch.randn(shape)
        [logits] = session.run(["logits"], {"images": images.numpy()})
        assert close(torch.from_numpy(logits), model(images))


def test_the_description(classifier_onnx, short_classifier_run):
    it = about(classifier_onnx)
    assert it["input"]["shape"] == ["batch", 3, "height", "width"]
    assert (it["task"], it["model"], it["px"], it["outputs"]) == ("classify", "fastitpn_nano", [32, 32], ["logits"])
    assert it["classes"] == list(load_trained(short_classifier_run.directory).about.classes)
    assert it["view"] == {"shorter_side": 36, "crop": "centre", "interpolation": "bicubic"}
    assert it["parity"]["sizes"] == [[32, 32], [48, 80]]
    assert it["parity"]["batches"] == [1, 3]
    assert it["parity"]["largest_relative_difference"] <= 1e-4
    assert it["parity"]["same_decisions"] >= 0.999
    assert it["parity"]["compared_on"] == "6 images of val"
    assert it["quality"]["file"] == it["quality"]["model"]


@torch.no_grad()
@pytest.mark.parametrize("form", ["torch_export", "torchscript"])
def test_the_forms_of_pytorch_with_acceleration(form, short_classifier_run, tmp_path, monkeypatch):
    """Windows and tokens that leave are part of the graph."""
    load = exporting.load_subject

    def accelerated(config):
        subject = load(config)
        subject.backbone.set_acceleration(**TINY_WINDOWS)
        return subject

    monkeypatch.setattr(exporting, "load_subject", accelerated)
    out = fastitpn.export(form, short_classifier_run.directory, px=64, limit=4, out=tmp_path / "a")
    file = out / about(out)["file"]
    model = load_trained(short_classifier_run.directory).model
    images = torch.randn(3, 3, 64, 64)
    plain = model(images)
    model.set_acceleration(**TINY_WINDOWS)
    [logits] = FORMATS[form].open(file)(images)
    assert close(logits, model(images))
    assert not close(logits, plain)
    assert about(out)["acceleration"]["gathering"]["window"] == 2


@torch.no_grad()
def test_onnx_with_acceleration(short_classifier_run, tmp_path):
    out = fastitpn.export(
        "onnx", short_classifier_run.directory, px=64, acceleration="balanced", out=tmp_path / "a", limit=4
    )
    model = load_trained(short_classifier_run.directory, "balanced").model
    images = torch.randn(3, 3, 64, 64)
    [logits] = open_onnx(out / "model.onnx")(images)
    assert close(logits, model(images))
    model.set_acceleration("off")
    assert not close(logits, model(images))


@torch.no_grad()
def test_a_pyramid_of_a_fixed_batch(pyramid_onnx, pretrained_run):
    it = about(pyramid_onnx)
    assert (it["task"], it["outputs"]) == ("features", ["p4", "p8", "p16", "p32", "p64"])
    assert it["input"]["shape"] == [2, 3, 32, 32]
    assert it["parity"]["same_decisions"] is None
    images = torch.randn(2, 3, 32, 32)
    model = fastitpn.create_model("fastitpn_nano", pyramid=True, img_size=32, num_classes=0, global_pool="").eval()
    fastitpn.load_weights(model, pretrained_run.directory)
    found = open_onnx(pyramid_onnx / "model.onnx")(images)
    for level, expected in zip(found, model.pyramid_features(images), strict=True):
        assert close(level, expected)


def test_a_rectangle_of_a_segmentation_network(segmenter_onnx):
    it = about(segmenter_onnx)
    assert (it["task"], it["px"], len(it["colors"])) == ("segment", [48, 64], len(it["classes"]))
    assert it["quality"]["metric"] == "miou"
    assert it["quality"]["file"] == pytest.approx(it["quality"]["model"], abs=0.1)
    assert it["parity"]["same_decisions"] >= 0.999


def test_int8_says_what_it_costs(short_classifier_run, scenes, tmp_path, capsys):
    out = fastitpn.export("onnx", short_classifier_run.directory, precision="int8", data=scenes.val, out=tmp_path / "a")
    it = about(out)
    assert files(out) == ["model.json", "model.onnx", "run.py"]
    assert it["int8"]["size"] < 0.5
    assert it["int8"]["speed_up"] > 0
    assert it["int8"]["activations"] == "scales of the calibration"
    assert it["int8"]["calibration"]["images"] > 8  # of the training
    assert it["loss"]["of"] == "top1"
    assert 1e-4 < it["parity"]["largest_relative_difference"] < 0.5
    assert it["quality"]["images"] == "6 images of val"
    assert re.search(r"int8: 0\.\d+ times the size.*\ntop1: [\d.]+ percent, the model", capsys.readouterr().out)


def test_no_path_of_this_machine_is_in_a_file(classifier_onnx, short_classifier_run, tmp_path):
    found = [classifier_onnx]
    for form in ("torch_export", "torchscript"):
        found.append(fastitpn.export(form, short_classifier_run.directory, limit=4, out=tmp_path / form))
    for folder in found:
        for file in folder.iterdir():
            assert not re.search(rb"\.py[^\w]|site-packages", content(file).replace(b"run.py", b"")), file


def test_a_file_that_differs_is_not_kept(short_classifier_run, tmp_path, monkeypatch, capsys):
    """Also what was exported there before stays as it is."""
    write = FORMATS["torchscript"].write

    def wrong(graph, shapes, path):
        with torch.no_grad():
            next(iter(graph.network.model.head.parameters())).add_(0.01)
        write(graph, shapes, path)

    monkeypatch.setattr(FORMATS["torchscript"], "write", wrong)
    words = ["export", str(short_classifier_run.directory), "format=torchscript", f"out={tmp_path / 'a'}"]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "does not do what the model does, so nothing was written" in error
    assert "at most 1e-04 is let through" in error
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert main(words) == 0
    before = files(tmp_path / "a")
    monkeypatch.setattr(FORMATS["torchscript"], "write", wrong)
    assert main(words) == 1
    assert files(tmp_path) == [f"a/{name}" for name in before]


def test_what_cannot_be_traced_is_said_in_a_sentence(short_classifier_run, tmp_path, monkeypatch):
    def fails(graph, shapes, path):
        raise RuntimeError("no such\noperator")

    monkeypatch.setattr(FORMATS["torchscript"], "write", fails)
    with pytest.raises(ParityError, match="cannot be exported so: RuntimeError: no such operator"):
        fastitpn.export("torchscript", short_classifier_run.directory, out=tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"dynamic": "all", "acceleration": "balanced"}, r"cannot be left open.*(\n.*)*acceleration=off"),
        ({"part": "pyramid"}, r"this model has no pyramid(\n.*)*expected: whole"),
        (
            {"precision": "bf16"},
            "precision: expected fp32 or fp16 or int8 for format=onnx, or format=torch_export or format=torchscript",
        ),
        ({"batch": 4, "dynamic": "batch"}, "batch: expected together with dynamic=off"),
        ({"opset": 13}, "opset: expected"),
        ({"opset": 24}, "opset: expected"),
        ({"px": 33}, "px: expected a whole number of at least 32, a multiple of 16"),
        ({"data": "nowhere"}, "does not exist"),
    ],
)
def test_wrong_wishes(keys, text, short_classifier_run, tmp_path):
    with pytest.raises(InputError, match=text):
        fastitpn.export("onnx", short_classifier_run.directory, out=tmp_path / "a", **keys)
    assert list(tmp_path.iterdir()) == []


def test_other_tasks_are_refused(short_classifier_run, tmp_path):
    checkpoint = torch.load(short_classifier_run.best_checkpoint, weights_only=True)
    torch.save({**checkpoint, "task": "track"}, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="the task 'track', which this installation does not have"):
        fastitpn.export("onnx", tmp_path / "a.ckpt", out=tmp_path / "b")
    with pytest.raises(InputError, match="no such"):
        fastitpn.export("onnx", tmp_path / "nothing", out=tmp_path / "b")


@torch.no_grad()
def test_a_published_file(pretrained_run, tmp_path):
    file = fastitpn.export("official", pretrained_run.directory, out=tmp_path / "published.pt")
    out = fastitpn.export("torchscript", file, part="trunk", px=48, width=64, limit=4, out=tmp_path / "a")
    assert about(out)["parity"]["compared_on"] == "crops of a photograph"
    model = fastitpn.create_model("fastitpn_nano", img_size=32, num_classes=0, global_pool="").eval()
    fastitpn.load_weights(model, file)
    images = torch.randn(2, 3, 48, 64)
    [features] = FORMATS["torchscript"].open(out / "model.pt")(images)
    assert close(features, model.forward_features(images).permute(0, 3, 1, 2))


@torch.no_grad()
@pytest.mark.parametrize(
    ("form", "head", "arguments", "features", "size"),
    [
        ("onnx", "upernet", {"width": 16}, "pyramid_and_trunk", (80, 48)),  # any size: its pools too
        (
            "torchscript",
            "mask2former",
            {"width": 32, "queries": 5, "encoder_layers": 1, "decoder_layers": 1},
            "pyramid",
            None,
        ),
    ],
)
def test_heads_by_transformers(form, head, arguments, features, size, segmenter_run, tmp_path):
    checkpoint = torch.load(segmenter_run.best_checkpoint, weights_only=True)
    checkpoint["head"] = {"name": head, "arguments": arguments, "features": features}
    checkpoint["model"]["arguments"] |= SHORT
    model = create_segmenter(checkpoint["model"], checkpoint["head"], len(checkpoint["classes"])).eval()
    torch.save({**checkpoint, "weights": model.state_dict()}, tmp_path / "a.ckpt")
    if size is None:
        with pytest.raises(InputError, match="its head by transformers treats the size as a constant"):
            fastitpn.export(form, tmp_path / "a.ckpt", dynamic="all", out=tmp_path / "b")
    dynamic = "batch" if size is None else "all"
    px = 32 if size else 64
    out = fastitpn.export(form, tmp_path / "a.ckpt", dynamic=dynamic, px=px, limit=4, out=tmp_path / "b")
    images = torch.randn(5, 3, *(size or (px, px)))
    [found] = FORMATS[form].open(out / about(out)["file"])(images)
    assert close(found, model.log_probabilities(images))
