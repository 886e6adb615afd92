"""`finetune detect|segment weights=FILE`: a published head alone, a trunk alone, and a whole published network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from published_heads import rule_value
from tiny_runs import TRAINING
from torch import Tensor, nn

import fastitpn
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.models.weights.heads import published_state
from fastitpn.tasks.detect.model import create_detector
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.segment.model import create_segmenter

MODEL = {"name": "fastitpn_nano", "arguments": {"img_size": 32}}
SMALL = {"width": 64, "queries": 9, "encoder_layers": 1, "decoder_layers": 1}
DINO_KEYS = {"name": "dino", "width": 64, "queries": 9, "layers": 1}
FORMS = {
    "dino": ("detect", "detector", {"name": "dino", "arguments": SMALL}, DINO_KEYS),
    "maskdino": ("detect", "detector", {"name": "maskdino", "arguments": SMALL}, {**DINO_KEYS, "name": "maskdino"}),
    "segment": (
        "segment",
        "head",
        {"name": "maskdino", "arguments": SMALL, "features": "pyramid"},
        {**DINO_KEYS, "name": "maskdino"},
    ),
}
TRUNK = "patch_embed.proj.weight"


def published(form: str, num_classes: int, **changes: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A head of so many classes under its published names, and a trunk with its pyramid."""
    task, _, about, _ = FORMS[form]
    about = {**about, "arguments": {**about["arguments"], **changes}}
    create = create_detector if task == "detect" else create_segmenter
    model = create(MODEL, about, num_classes)
    shapes = {name: tensor.shape for name, tensor in published_state(model).items()}
    head = {
        name: rule_value(several[0], shapes[name]) for several in model.published_names().values() for name in several
    }
    torch.manual_seed(4)
    trunk = fastitpn.create_model("fastitpn_nano", pyramid=True, img_size=32, num_classes=0, global_pool="")
    return head, dict(trunk.state_dict())


def built(form: str, data: Path, weights: Path, **keys: Any) -> nn.Module:
    """The network that a fine-tuning starts with."""
    task, _, _, of_head = FORMS[form]
    spec: Any = TASKS.spec(task)
    given = {"data": data, **TRAINING, "weights": weights, "head" if task == "segment" else "detector": of_head}
    config = build(TASKS.keys_of(task).train, {**given, **keys})
    network: nn.Module = spec.build(config, spec.open_data(config)).trained_model
    return network


def fits(network: Any, head: dict[str, Tensor], *, fresh: tuple[str, ...] = ()) -> None:
    """All of a head is in the network, but for what may start fresh."""
    parameters = dict(network.named_parameters())
    for name, several in network.published_names().items():
        assert torch.equal(parameters[name], head[several[0]]) != name.startswith(fresh or "-"), name


@pytest.fixture(params=FORMS)
def form(request) -> str:
    return request.param


@pytest.fixture
def scenes(form, request) -> Path:
    return request.getfixturevalue("segment_scenes" if form == "segment" else "detect_scenes")


def num_classes(form: str) -> int:
    return 4 if form == "segment" else 3


def test_a_head_alone(form, scenes, tmp_path, capsys):
    head, _ = published(form, num_classes(form))
    torch.save({"model": head, "epoch": 11}, tmp_path / "head.pth")
    network = built(form, scenes, tmp_path / "head.pth")
    fits(network, head)
    said = capsys.readouterr().out.replace("\n", " ")
    assert "no weights given" not in said
    assert "have no Fast-iTPN: trunk and pyramid start from random values" in said
    assert "tensors of the head loaded" in said
    assert f"all of the file's {len(head)} tensors (100.0% of its parameters)" in said
    assert "the head is new" not in said
    assert "are taken for those of the data, in the same order" in said


def test_a_trunk_alone(form, scenes, tmp_path, capsys):
    _, trunk = published(form, num_classes(form))
    torch.save({"model": trunk}, tmp_path / "trunk.pth")
    network: Any = built(form, scenes, tmp_path / "trunk.pth")
    assert torch.equal(network.backbone.state_dict()[TRUNK], trunk[TRUNK])
    said = capsys.readouterr().out.replace("\n", " ")
    assert "tensors of the trunk and the pyramid loaded" in said
    assert "tensors of the head" not in said


@pytest.mark.parametrize("prefix", ["backbone.", "backbone.net."])
def test_a_whole_network(form, scenes, tmp_path, capsys, prefix):
    head, trunk = published(form, num_classes(form))
    whole = {**head, **{f"{prefix}{name}": tensor for name, tensor in trunk.items()}}
    torch.save({"model": {f"module.{name}": tensor for name, tensor in whole.items()}}, tmp_path / "whole.pth")
    network: Any = built(form, scenes, tmp_path / "whole.pth")
    fits(network, head)
    assert torch.equal(network.backbone.state_dict()[TRUNK], trunk[TRUNK])
    said = capsys.readouterr().out.replace("\n", " ")
    assert "tensors of the trunk, the pyramid and the head loaded" in said
    assert (f"all of the file's {len(whole)} tensors (100.0%" in said) == (form != "dino")
    assert ("levels of the pyramid that this model was pruned of" in said) == (form == "dino")
    assert "random" not in said


def test_other_classes_start_fresh_and_that_is_said(form, scenes, tmp_path, capsys):
    head, trunk = published(form, 7)
    torch.save({**head, **{f"backbone.{name}": tensor for name, tensor in trunk.items()}}, tmp_path / "whole.pth")
    network: Any = built(form, scenes, tmp_path / "whole.pth")
    fits(network, head, fresh=network.class_layers)
    said = capsys.readouterr().out.replace("\n", " ")
    assert "not needed here: for other classes, or for the maps of another backbone" in said
    assert "randomly initialised" in said
    assert "the head is new" not in said
    assert "in the same order" not in said


def test_sizes_that_do_not_fit_are_named(form, scenes, tmp_path):
    head, _ = published(form, num_classes(form), queries=20, decoder_layers=2)
    torch.save(head, tmp_path / "head.pth")
    kind = FORMS[form][1]
    with pytest.raises(InputError, match="the head is for a model of other sizes: ") as caught:
        built(form, scenes, tmp_path / "head.pth", **{kind: {**FORMS[form][3], "layers": 3}})
    assert caught.value.fix == (
        f"keys of {kind} that give these sizes, or weights_strict=false to initialise the rest randomly"
    )


def test_the_input_of_another_backbone(detect_scenes, tmp_path, capsys):
    """As of the published head for R50 on our pyramid, and with the published projection of its maps."""
    head, _ = published("dino", 3, neck="published")
    torch.save(head, tmp_path / "head.pth")
    built("dino", detect_scenes, tmp_path / "head.pth")
    inputs = sum(name.startswith("input_proj.") for name in head)
    said = capsys.readouterr().out.replace("\n", " ")
    assert f"{inputs} not needed here: the published input, which this model has none of" in said
    for level in range(3):
        head[f"input_proj.{level}.0.weight"] = torch.zeros(64, 17, 1, 1)
    torch.save(head, tmp_path / "head.pth")
    network = built("dino", detect_scenes, tmp_path / "head.pth", detector={**DINO_KEYS, "neck": "published"})
    assert torch.equal(dict(network.named_parameters())["network.input_proj.3.0.weight"], head["input_proj.3.0.weight"])
    assert (
        "3 not needed here: for other classes, or for the maps of another backbone"
        in capsys.readouterr().out.replace("\n", " ")
    )


@pytest.mark.parametrize(
    ("task", "keys", "text"),
    [
        ("detect", {"detector": "faster_rcnn"}, "the file has only a head, and it is another detector's"),
        ("segment", {"head": "upernet"}, "the file has only a head, and it is another head's"),
    ],
)
def test_a_head_of_another_network(task, keys, text, tmp_path, request):
    head, trunk = published("dino", 3)
    torch.save(head, tmp_path / "head.pth")
    data = request.getfixturevalue(f"{task}_scenes")
    spec: Any = TASKS.spec(task)
    given = {"data": data, **TRAINING, **keys}
    config = build(TASKS.keys_of(task).train, {**given, "weights": tmp_path / "head.pth"})
    split = spec.open_data(config)
    with pytest.raises(InputError, match=text) as caught:
        spec.build(config, split)
    assert "weights=FILE of a pre-training" in caught.value.fix
    torch.save({**head, **{f"backbone.{name}": tensor for name, tensor in trunk.items()}}, tmp_path / "whole.pth")
    config = build(TASKS.keys_of(task).train, {**given, "weights": tmp_path / "whole.pth"})
    network = spec.build(config, split).trained_model
    assert torch.equal(network.backbone.state_dict()[TRUNK], trunk[TRUNK])
