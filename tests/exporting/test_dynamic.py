"""What may change from call to call, and the opset."""

import json

import onnx
import pytest
from made_models import make_checkpoint

import fastitpn
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.dynamic import choose_shapes
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.network import Graph
from fastitpn.exporting.parity import ParityError
from fastitpn.exporting.tracing import shapes_reckoned, trace
from fastitpn.tasks.exporting import load_subject


@pytest.mark.parametrize(
    ("kind", "keys", "expected"),
    [
        ("classifier", {}, ["batch", "off"]),
        ("classifier", {"dynamic": "all"}, ["all"]),
        ("classifier", {"batch": 4}, ["off"]),
        ("linear", {}, ["all", "batch", "off"]),
        ("linear", {"width": 96}, ["batch", "off"]),
        ("linear", {"acceleration": "fast"}, ["batch", "off"]),
        ("linear", {"format": "torch_export"}, ["batch", "off"]),  # of 64 px, and it needs 80
        ("mask2former", {}, ["batch", "off"]),
        ("dino", {}, ["all", "batch", "off"]),
        ("mask2former_detector", {}, ["batch", "off"]),
        ("mask_rcnn", {}, ["off"]),
        ("classifier", {"acceleration": "fast", "opset": 16}, ["off"]),
        ("classifier", {"opset": 16}, ["batch", "off"]),
    ],
    ids=str,
)
def test_auto_takes_as_much_as_is_of_use_and_possible(kind, keys, expected, tmp_path):
    config = ExportConfig(checkpoint=make_checkpoint(kind, tmp_path), **keys)
    chosen = choose_shapes(FORMATS[config.format], config, load_subject(config))
    assert [shapes.dynamic for shapes in chosen] == expected


@pytest.mark.parametrize(
    ("kind", "keys", "text"),
    [
        ("mask_rcnn", {"dynamic": "batch"}, "for one image at a time"),
        ("mask_rcnn", {"format": "torchscript"}, "for one image at a time"),
        ("mask2former", {"dynamic": "all"}, "its head by transformers treats the size as a constant"),
        (
            "classifier",
            {"acceleration": "fast", "opset": 16, "dynamic": "batch"},
            "nothing can be left open in opset 16",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_left_open_is_said(kind, keys, text, tmp_path):
    config = ExportConfig(checkpoint=make_checkpoint(kind, tmp_path), **keys)
    with pytest.raises(InputError, match=text):
        choose_shapes(FORMATS[config.format], config, load_subject(config))


@pytest.mark.slow
def test_a_graph_for_any_size_keeps_no_size(tmp_path):
    """What PyTorch decomposes it to before it is written: a number of the traced size ties it to that, silently."""
    config = ExportConfig(checkpoint=make_checkpoint("maskdino", tmp_path), dynamic="all")
    subject = load_subject(config)
    [shapes] = choose_shapes(FORMATS["onnx"], config, subject)
    with shapes_reckoned(shapes):
        program = trace(Graph(subject.network, "fp32"), shapes).run_decompositions({})
    [images] = [node for node in program.graph.nodes if node.op == "placeholder" and node.name == "images"]
    assert [isinstance(size, int) for size in images.meta["val"].shape] == [False, True, False, False]


def test_where_more_fails_less_is_written(tmp_path, monkeypatch):
    write = FORMATS["torchscript"].write

    def fails(graph, shapes, path):
        if shapes.dynamic == "all":
            raise RuntimeError("no such operator")
        write(graph, shapes, path)

    monkeypatch.setattr(FORMATS["torchscript"], "write", fails)
    checkpoint = make_checkpoint("linear", tmp_path)
    out = fastitpn.export("torchscript", checkpoint, limit=4, out=tmp_path / "a")
    assert json.loads((out / "model.json").read_text())["input"]["shape"] == ["batch", 3, 64, 64]
    with pytest.raises(ParityError, match="no such operator"):
        fastitpn.export("torchscript", checkpoint, dynamic="all", out=tmp_path / "b")


@pytest.mark.parametrize(("opset", "acceleration"), [(16, "off"), (17, "fast")])
def test_an_older_opset(opset, acceleration, tmp_path):
    checkpoint = make_checkpoint("classifier", tmp_path, acceleration)
    out = fastitpn.export("onnx", checkpoint, opset=opset, limit=4, out=tmp_path / "a")
    assert [entry.version for entry in onnx.load(out / "model.onnx").opset_import if entry.domain == ""] == [opset]
    assert json.loads((out / "model.json").read_text())["opset"] == opset


def test_the_opset_is_of_onnx(tmp_path):
    with pytest.raises(InputError, match="opset: expected together with format=onnx, got format=openvino"):
        fastitpn.export("openvino", tmp_path, opset=17)
