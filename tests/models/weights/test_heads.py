"""Published weights of the heads of DINO and MaskDINO: by name, with and without a trunk, and what does not fit."""

import json
from pathlib import Path

import pytest
import torch
from published_heads import FOLDER, rule_value

import fastitpn
from fastitpn.errors import InputError
from fastitpn.models.weights.heads import published_state
from fastitpn.tasks.detect.model import create_detector
from fastitpn.tasks.maskdino.network import MaskDINONetwork, MaskDINOSettings
from fastitpn.tasks.segment.model import create_segmenter

MODEL = {"name": "fastitpn_nano", "arguments": {"img_size": 64}}
SMALL = {"width": 64, "neck": "published", "queries": 20, "encoder_layers": 1, "decoder_layers": 2, "ffn_ratio": 2}


def detector(num_classes=5, **changes):
    torch.manual_seed(3)
    return create_detector(MODEL, {"name": "dino", "arguments": {**SMALL, **changes}}, num_classes)


def head_of(model):
    """Other values for a head, each by all of its published names."""
    names = model.published_names().values()
    shapes = {name: tensor.shape for name, tensor in published_state(model).items()}
    return {name: rule_value(several[0], shapes[name]) for several in names for name in several}


def trunk():
    torch.manual_seed(4)
    model = fastitpn.create_model("fastitpn_nano", pyramid=True, img_size=64, num_classes=0, global_pool="")
    return model.state_dict()


@pytest.mark.parametrize("wrap", [dict, lambda head: {"model": head, "epoch": 11}], ids=["flat", "model"])
def test_a_head_goes_in_and_out_bit_exact(wrap, tmp_path: Path):
    model = detector()
    head, before = head_of(model), model.backbone.pyramid.output16.norm.weight.clone()
    torch.save(wrap({f"module.{name}": tensor for name, tensor in head.items()}), tmp_path / "head.pth")
    report = fastitpn.load_weights(model, tmp_path / "head.pth")
    assert report.ok
    assert report.share == 1
    assert (report.num_loaded, report.num_tensors) == (len(head), len(head))
    written = published_state(model)
    assert written.keys() == head.keys()
    assert all(torch.equal(written[name], head[name]) for name in head)
    assert torch.equal(model.backbone.pyramid.output16.norm.weight, before)
    assert "trunk and pyramid keep their values" in report.verdict


def test_the_names_are_the_published_ones():
    layout = json.loads((FOLDER / "layouts" / "dino_4scale_r50_coco_head.json").read_text())["entries"]
    model = detector(91, encoder_layers=6, decoder_layers=6, queries=900)
    assert published_state(model).keys() == layout.keys()
    for name, several in model.published_names().items():
        for published in several[1:]:
            assert layout[published]["alias_of"] == several[0], name


def test_head_and_trunk_of_one_file():
    model, beside = detector(), trunk()
    head = head_of(model)
    report = fastitpn.load_weights(model, {**head, **{f"backbone.{name}": tensor for name, tensor in beside.items()}})
    assert report.ok
    name = "pyramid.output16.norm.weight"
    assert torch.equal(model.backbone.state_dict()[name], beside[name])
    assert torch.equal(model.network.label_enc.weight, head["label_enc.weight"])


def test_a_trunk_alone_leaves_the_head():
    model, beside = detector(), trunk()
    before = model.network.label_enc.weight.clone()
    report = fastitpn.load_weights(model, beside)
    assert report.ok
    assert "network.label_enc.weight" in report.fresh
    assert torch.equal(model.backbone.patch_embed.proj.weight, beside["patch_embed.proj.weight"])
    assert torch.equal(model.network.label_enc.weight, before)


def test_another_backbone_is_set_aside():
    model = detector()
    report = fastitpn.load_weights(model, {**head_of(model), "backbone.0.body.conv1.weight": torch.zeros(3)})
    assert report.set_aside == {"backbone.0.body.conv1.weight": "another backbone"}
    assert report.ok


def test_our_pyramid_takes_all_but_the_input():
    published, ours = detector(), detector(neck="pyramid")
    head = head_of(published)
    with pytest.raises(InputError, match=r"no place for input_proj\.0\.0\.weight"):
        fastitpn.load_weights(ours, head)
    head = {name: tensor for name, tensor in head.items() if not name.startswith("input_proj.")}
    assert fastitpn.load_weights(ours, head).ok
    assert torch.equal(ours.network.transformer.level_embed, head["transformer.level_embed"])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"num_classes": 3}, r"the head is for other classes: .*\[5, 64\] in the file, \[3, 64\] in the model"),
        ({"queries": 30}, r"of other sizes: transformer.tgt_embed.weight is \[20, 64\] in the file, \[30, 64\]"),
        ({"encoder_layers": 2}, "of other sizes: transformer.encoder.layers.1.* is not there"),
    ],
    ids=["classes", "queries", "layers"],
)
def test_what_does_not_fit_is_named(changes, text):
    model = detector(**changes)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=text) as error:
        fastitpn.load_weights(model, head_of(detector()))
    assert "strict=False" in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_other_classes_start_fresh_where_that_is_asked_for():
    model, head = detector(3), head_of(detector())
    before = model.network.label_enc.weight.clone()
    report = fastitpn.load_weights(model, head, strict=False)
    assert not report.ok
    assert torch.equal(model.network.label_enc.weight, before)
    assert torch.equal(model.network.transformer.tgt_embed.weight, head["transformer.tgt_embed.weight"])


def test_heads_that_layers_do_not_share_are_refused():
    model = detector()
    head = head_of(model)
    head["class_embed.1.bias"] = head["class_embed.1.bias"] + 1
    with pytest.raises(InputError, match=r"class_embed.1.bias is not the same as transformer.decoder.class_embed.0"):
        fastitpn.load_weights(model, head)


R50 = (256, 512, 1024, 2048)
FOUR_LEVELS = {"encoder_hidden": 2048, "levels": 4, "coarse_first": False, "box_start": "mask2box"}
MASKDINO = {
    "maskdino_r50_coco_instance_3s_downsample1_hid2048": (80, FOUR_LEVELS),
    "maskdino_r50_ade20k_semantic_hid1024": (150, {"two_stage": False, "no_object": True, "queries": 100}),
}


@pytest.mark.parametrize("name", MASKDINO)
def test_the_names_of_maskdino_are_the_published_ones(name):
    layout = json.loads((FOLDER / "layouts" / f"{name}.json").read_text())
    num_classes, form = MASKDINO[name]
    with torch.device("meta"):
        network = MaskDINONetwork(num_classes, MaskDINOSettings(channels=R50, **form))
    published = {p: tensor.shape for p, tensor in published_state(network).items()}
    entries = {p: torch.Size(it["shape"]) for p, it in layout["entries"].items() if it["kind"] == "parameter"}
    assert published == entries
    assert sum(parameter.numel() for parameter in network.parameters()) == layout["n_parameters"]


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_a_head_of_maskdino_goes_in(task):
    torch.manual_seed(3)
    arguments = {"width": 64, "queries": 9, "encoder_layers": 1, "decoder_layers": 2}
    spec = {"name": "maskdino", "arguments": arguments, "features": "pyramid"}
    model = (create_detector if task == "detect" else create_segmenter)(MODEL, spec, 5)
    head = {**head_of(model), "criterion.empty_weight": torch.ones(6)}
    report = fastitpn.load_weights(model, {"model": head})
    assert report.ok
    assert report.set_aside == {"criterion.empty_weight": "weights of its loss"}
    written = published_state(model)
    assert all(torch.equal(written[name], head[name]) for name in written)
    assert fastitpn.load_weights(model, trunk()).ok
    with pytest.raises(InputError, match="the head is for other classes"):
        fastitpn.load_weights((create_detector if task == "detect" else create_segmenter)(MODEL, spec, 3), head)
