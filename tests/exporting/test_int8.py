"""int8 and fp16 that keep their promise: calibrated on images, and never worse than they may be."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import skimage.data
import torch
from made_models import make_checkpoint
from onnx import helper, numpy_helper
from PIL import Image
from tiny_runs import files

import fastitpn
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.exporting import int8
from fastitpn.exporting.attempts import Attempt, attempts
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.loss import Judge, Loss
from fastitpn.exporting.network import Network, PyramidLevels
from fastitpn.exporting.pictures import Pictures
from fastitpn.exporting.shapes import Shapes
from fastitpn.models.weights.cache import sha256
from fastitpn.tasks.detect.export_parity import agreement_of_detections
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS
from fastitpn.training.metric import Metric

PICTURE = Image.fromarray(skimage.data.astronaut())
WIDE = PICTURE.crop((0, 0, 512, 341)).resize((192, 128))  # 96 x 64 where px is 64


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Nine images."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(9):
        PICTURE.resize((128, 128)).rotate(40 * number).save(folder / f"{number}.png")
    return folder


def about(folder: Path) -> dict:
    return json.loads((folder / "model.json").read_text())


@pytest.mark.parametrize(
    ("kind", "form", "keys"),
    [
        ("classifier", "openvino", {}),
        ("linear", "onnx", {"dynamic": "batch", "width": 96}),
    ],
    ids=str,
)
def test_a_folder_in_int8_is_a_model(kind, form, keys, made, images):
    checkpoint, folder = made(
        kind, form, precision="int8", calibrate=images, calibrate_images=8, max_loss=100.0, **keys
    )
    it = about(folder)
    chosen = [images / f"{number}.png" for number in range(8)]
    digest = hashlib.sha256(b"".join(bytes.fromhex(sha256(path)) for path in chosen)).hexdigest()
    assert it["int8"]["calibration"] == {"images": 8, "of": f"8 images of {images.name}", "sha256": digest}
    assert (it["int8"]["in_fp32"], it["int8"]["activations"]) == ([], "scales of the calibration")
    assert 0.2 < it["int8"]["size"] < 0.5
    assert it["loss"]["max_loss"] == 100
    assert it["loss"]["points"] <= 100
    [expected], [given] = (fastitpn.load(source, device="cpu")([WIDE]) for source in (checkpoint, folder))
    assert type(given) is type(expected)
    if kind == "classifier":
        assert dict(zip(given.labels, given.scores, strict=True)) == pytest.approx(
            dict(zip(expected.labels, expected.scores, strict=True)), abs=0.1
        )


def test_openvino_in_half_has_half_the_size_and_the_same_decisions(made):
    _, exact = made("classifier", "openvino", dynamic="off")
    _, half = made("classifier", "openvino", dynamic="off", precision="fp16")
    assert (half / "model.bin").stat().st_size < 0.6 * (exact / "model.bin").stat().st_size
    assert about(half)["loss"] == {"points": 0, "of": "decisions", "on": "crops of a photograph", "max_loss": 1}
    assert about(half)["parity"]["largest_relative_difference"] < 2e-3  # it computes in single precision


@pytest.mark.parametrize(("kind", "task"), [("dino", "detect"), ("panoptic", "segment")])
def test_what_looks_closely_can_have_its_weights_in_half(kind, task, tmp_path):
    task = TASKS.spec(task).exportable(load_trained(make_checkpoint(kind, tmp_path)))
    keys = {"checkpoint": tmp_path, "precision": "fp16"}
    task.check(build(ExportConfig, {**keys, "format": "openvino"}))
    with pytest.raises(InputError, match="cannot be exported in fp16"):
        task.check(build(ExportConfig, {**keys, "format": "onnx"}))


class TestSearch:
    """What is tried, and what is said when nothing loses little enough."""

    @pytest.fixture
    def tried(self, monkeypatch, tmp_path):
        """Runs the search with given losses; the file is whatever was tried last."""

        def search(points: list[float], **keys) -> tuple[int8.Quantised, Path]:
            config = build(ExportConfig, {"checkpoint": "a", "precision": "int8", **keys})
            written: list[str] = []
            monkeypatch.setattr(int8, "speed_up", lambda *runs: 2.0)
            form = SimpleNamespace(
                dynamic_int8=True,
                quantise=lambda exact, file, attempt, images: file.write_text(attempt.in_words()),
                open=lambda file: written.append(file.read_text()),
            )
            (tmp_path / "exact").mkdir(exist_ok=True)
            (tmp_path / "exact" / "model.onnx").write_text("exact, and longer than what is written")
            rest = iter(points)
            judge = SimpleNamespace(
                measure=lambda run: Loss(points=next(rest), of="top1", images="9 images of val"), images=[None]
            )
            backbone = torch.nn.Identity()
            backbone.pyramid = None
            network = torch.nn.Sequential(backbone)
            subject = SimpleNamespace(network=network, backbone=backbone, whole=True)
            calibration = SimpleNamespace(
                batches=lambda shapes: [], to_json=lambda: {"images": 9}, pictures=SimpleNamespace(source="9 images")
            )
            file = tmp_path / "model.onnx"
            exact = tmp_path / "exact" / "model.onnx"
            shapes = Shapes(size=(32, 32))
            return int8.quantise(form, exact, file, subject, shapes, calibration, judge, config), file

        return search

    @pytest.mark.parametrize(
        ("points", "words", "in_fp32"),
        [
            ([0.9], "int8", []),
            ([-1.0], "int8", []),
            ([3, 1.0], "int8, the head in fp32", ["the head"]),
            ([3, 3, 0], "int8, the head and the first layer in fp32", ["the head", "the first layer"]),
            ([3, float("inf"), float("nan"), 2, 2, 0.5], "int8 with scales for each input", []),
        ],
        ids=str,
    )
    def test_the_first_that_loses_little_enough_is_kept(self, points, words, in_fp32, tried):
        result, file = tried(points)
        assert file.read_text() == words
        assert result.about["in_fp32"] == in_fp32
        assert result.loss.points == points[-1]
        assert result.about["calibration"] == (None if "each" in words else {"images": 9})

    def test_nothing_meets_it(self, tried, capsys):
        with pytest.raises(
            InputError, match=r"int8 loses 1\.63 points of top1 \(on 9 images of val\) at least"
        ) as error:
            tried([5, 4, 3, 2, 9, 1.63, 7])
        assert error.value.fix == "max_loss=1.7, or precision=fp16"
        assert "int8: loses 5.00 points of top1 (on 9 images of val), more than max_loss=1" in capsys.readouterr().out

    def test_the_suggested_limit_works(self, tried):
        result, _ = tried([5, 4, 3, 2, 9, 1.63], max_loss=1.7)
        assert result.loss.points == 1.63

    def test_parts_are_told_by_names_of_both_exporters(self):
        model = fastitpn.create_model("fastitpn_nano", img_size=32, pyramid=True, num_classes=0, global_pool="")
        subject = SimpleNamespace(network=PyramidLevels(model), backbone=model, whole=None)
        steps = list(attempts(FORMATS["openvino"], subject, calibrated=True))
        assert steps[-1].kept == ("the pyramid", "the first layer", "stages 1 and 2", "attention")
        names = {
            "network.model.pyramid.levels.0/node_Conv_1": 1,
            "/network/model/patch_embed/MatMul": 2,
            "network.model.stages.0.blocks.0.mlp/node_MatMul_26": 3,
            "/network/model/stages.2/blocks.3/attn/proj/MatMul": 4,
            "network.model.stages.2.blocks.3.mlp.fc2/node_MatMul_9": 9,
        }
        for name, first in names.items():
            assert [step.keeps(name) for step in steps] == [place >= first for place in range(len(steps))], name


class TestLoss:
    """In points."""

    SHAPES = Shapes(size=(32, 32))

    @staticmethod
    def pictures(count: int, truth=None) -> Pictures:
        image = Image.new("RGB", (32, 32))
        return Pictures(
            images=[image] * count,
            truth=truth,
            source="these",
            view=lambda image, size: torch.zeros(3, *size),
        )

    @staticmethod
    def network(outputs: torch.Tensor, decides: bool = True) -> Network:
        class Fixed(Network):
            def forward(self, images):
                return (outputs[: len(images)],)

        Fixed.decides = decides
        return Fixed()

    def judge(self, expected, pictures, *, whole=None, decides=True) -> Judge:
        subject = SimpleNamespace(network=self.network(expected, decides), whole=whole)
        shapes = Shapes(size=(32, 32), dynamic="off", batch=len(pictures))
        return Judge(subject, pictures, shapes)

    def test_of_decisions(self):
        expected = torch.eye(4)
        given = expected[[0, 1, 2, 0]]
        loss = self.judge(expected, self.pictures(4)).measure(lambda images: [given])
        assert (loss.points, loss.of, loss.images) == (25.0, "decisions", "these")

    def test_of_features(self):
        expected = torch.tensor([[[3.0, 4.0]], [[1.0, 0.0]]])
        given = torch.tensor([[[3.0, 4.0]], [[1.0, 1.0]]])
        loss = self.judge(expected, self.pictures(2), decides=False).measure(lambda images: [given])
        assert loss.points == pytest.approx(100 * (1 - (1 + 0.5**0.5) / 2))
        assert loss.of == "similarity"

    def test_of_the_metric_that_loses_most(self):
        whole = SimpleNamespace(
            metrics=(
                Metric(name="a", title="A", unit="%"),
                Metric(name="b", title="B", unit="%"),
                Metric(name="far", title="Far", unit="m", higher_is_better=False),
            ),
            score=lambda outputs, truth: {
                "a": 80 - float(outputs[0][0][0]),
                "b": 60 + float(outputs[0][0][0]),
                "far": 2.0 + float(outputs[0][0][1]),
            },
        )
        judge = self.judge(torch.zeros(2, 2), self.pictures(2, truth=[0, 1]), whole=whole)
        loss = judge.measure(lambda images: [torch.tensor([[1.5, 0.01], [0, 0]])])
        assert (loss.points, loss.of) == (pytest.approx(1.5), "a")
        assert loss.quality["metrics"]["b"] == {"model": 60, "file": 61.5}
        loss = judge.measure(lambda images: [torch.tensor([[0.0, 0.1], [0, 0]])])
        assert (loss.points, loss.of) == (pytest.approx(5), "far")

    def test_numbers_that_are_none(self):
        loss = self.judge(torch.eye(2), self.pictures(2)).measure(lambda images: [torch.full((2, 2), float("nan"))])
        assert loss.points == float("inf")
        config = build(ExportConfig, {"checkpoint": "a", "precision": "int8"})
        assert int8.too_much(loss, config).fix == "precision=fp16"

    def test_of_detections(self):
        boxes = torch.tensor([[[0.0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]])
        scores, classes = torch.tensor([[0.9, 0.8, 0.1]]), torch.tensor([[1, 2, 1]])
        moved = boxes + torch.tensor([0.04, 0, 0, 0])
        assert agreement_of_detections([moved, scores * 0.7, classes], [boxes, scores, classes], 0.5) == (4, 4)
        assert agreement_of_detections([boxes, scores * 0.6, classes], [boxes, scores, classes], 0.5) == (2, 3)
        assert agreement_of_detections([boxes, scores, classes + 1], [boxes, scores, classes], 0.5) == (0, 4)
        assert agreement_of_detections([boxes + 0.06, scores, classes], [boxes, scores, classes], 0.5) == (0, 4)

    def test_a_model_that_finds_nothing_cannot_be_measured(self):
        judge = self.judge(torch.eye(2), self.pictures(2))
        judge._subject.network.agreement = lambda given, expected: (0, 0)
        with pytest.raises(InputError, match="decides nothing on these") as error:
            judge.measure(lambda images: [torch.eye(2)])
        assert error.value.fix == "data=LABELLED"


class TestBadInput:
    """One message each, before anything is traced or written."""

    @pytest.fixture
    def folder(self, images, tmp_path, request) -> Path:
        """Images of a kind of badness."""
        folder = tmp_path / "images"
        folder.mkdir()
        for number in range({"few": 7, "empty": 0}.get(request.param, 9)):
            shutil.copy(images / f"{number}.png", folder)
        if request.param == "damaged":
            (folder / "4.png").write_bytes((folder / "4.png").read_bytes()[:900])
        return folder

    @pytest.mark.parametrize(
        ("folder", "what", "fix"),
        [
            ("empty", "no images in this folder", "give a folder with images"),
            ("few", "7 images are too few to calibrate on", "calibrate=ANOTHER_FOLDER"),
            ("damaged", r"4\.png", ""),
        ],
        indirect=["folder"],
    )
    @pytest.mark.parametrize("form", ["onnx", "openvino"])
    def test_images_to_calibrate_on(self, folder, what, fix, form, short_classifier_run, tmp_path):
        with pytest.raises(InputError, match=what) as error:
            fastitpn.export(
                form, short_classifier_run.directory, precision="int8", calibrate=folder, out=tmp_path / "a"
            )
        assert fix in str(error.value.fix)
        assert not (tmp_path / "a").exists()

    def test_none_to_calibrate_on(self, made, tmp_path):
        checkpoint, _ = made("classifier", "openvino", dynamic="off")
        with pytest.raises(InputError, match="those of the training are not here") as error:
            fastitpn.export("openvino", checkpoint, precision="int8", out=tmp_path / "a")
        assert error.value.fix == "calibrate=FOLDER, or precision=fp16, which needs no images"

    def test_nncf_is_not_installed(self, short_classifier_run, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "nncf", None)
        with pytest.raises(InputError, match="the package nncf is not installed") as error:
            fastitpn.export("openvino", short_classifier_run.directory, precision="int8", out=tmp_path / "a")
        assert error.value.fix == "pip install 'fastitpn[openvino]'"

    def test_data_without_labels(self, short_classifier_run, images, tmp_path):
        with pytest.raises(InputError, match=r"9 images of .* have no labels of the model's classes") as error:
            fastitpn.export("onnx", short_classifier_run.directory, precision="int8", data=images, out=tmp_path / "a")
        assert error.value.fix == "leave data out: then decisions are compared, without labels"

    @pytest.mark.parametrize(
        ("keys", "text"),
        [
            ({"format": "torchscript", "precision": "int8"}, "or format=onnx or format=openvino, got int8"),
            ({"calibrate": "a"}, "calibrate: expected together with precision=int8, got precision=fp32"),
            ({"max_loss": 2}, "max_loss: expected together with precision=fp16 or precision=int8, got precision=fp32"),
            ({"max_loss": -1, "precision": "int8"}, "max_loss"),
            ({"calibrate_images": 0, "precision": "int8"}, "calibrate_images"),
        ],
        ids=str,
    )
    def test_keys_that_do_not_belong_together(self, keys, text):
        with pytest.raises(InputError, match=text):
            build(ExportConfig, {"checkpoint": "a", **keys})

    def test_a_limit_that_nothing_meets_leaves_what_was_there(self, made, tmp_path, monkeypatch):
        checkpoint, folder = made("classifier", "openvino", dynamic="off")
        out = shutil.copytree(folder, tmp_path / "a")
        before = {name: sha256(out / name) for name in files(out)}
        monkeypatch.setattr(Judge, "measure", lambda self, run: Loss(points=50, of="top1", images="9 images"))
        with pytest.raises(InputError, match=r"fp16 loses 50\.00 points of top1") as error:
            fastitpn.export("torchscript", checkpoint, precision="fp16", limit=4, out=out)
        assert error.value.fix == "max_loss=50, or precision=fp32"
        assert {name: sha256(out / name) for name in files(out)} == before


def test_without_images_onnx_scales_every_input_by_itself(made, capsys):
    _, folder = made("classifier", "onnx", precision="int8", max_loss=100.0)
    assert "calibrate=FOLDER" in capsys.readouterr().out
    assert about(folder)["int8"]["activations"] == "scales for each input"
    assert about(folder)["int8"]["calibration"] is None


def test_the_same_images_give_the_same_file(made, tmp_path):
    _, folder = made("classifier", "openvino", dynamic="off")
    form, batches = FORMATS["openvino"], [torch.rand(1, 3, 64, 64) for _ in range(4)]
    for name in ("a.xml", "b.xml"):
        form.quantise(folder / "model.xml", tmp_path / name, Attempt(), batches)
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


@pytest.mark.parametrize(("batch", "quantised"), [("batch", ["images"]), (1, ["images", "y"])])
def test_onnx_keeps_products_whole(batch, quantised, tmp_path):
    """Of one shape, onnxruntime would join a product with its bias, and compute both in fp32."""
    weights = [
        numpy_helper.from_array(np.random.default_rng(0).random(shape, np.float32), name)
        for name, shape in (("w", (8, 8)), ("b", (8,)))
    ]
    nodes = [
        helper.make_node("MatMul", ["images", "w"], ["y"], name="a.fc/MatMul"),
        helper.make_node("Add", ["y", "b"], ["z"]),
        helper.make_node("Transpose", ["z"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["z", "t"], ["out"], name="a.attn/MatMul"),
    ]
    given, output = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, 4, size])
        for name, size in (("images", 8), ("out", 4))
    )
    model = helper.make_model(
        helper.make_graph(nodes, "a", [given], [output], weights), opset_imports=[helper.make_opsetid("", 18)]
    )
    onnx.save(model, tmp_path / "exact.onnx")
    FORMATS["onnx"].quantise(tmp_path / "exact.onnx", tmp_path / "a.onnx", Attempt(), [torch.rand(1, 4, 8)])
    graph = onnx.load(tmp_path / "a.onnx").graph
    scaled = [node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert sorted(scaled) == quantised
