"""LoRA: what learns, what a checkpoint holds, and that a run that was stopped goes on to the same bits."""

import sys

import pytest
import torch
from tiny_runs import FINETUNING, assert_same, content, figures

import fastitpn
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.lora import add_lora, merged

NAMES = {"depths": (1, 1, 2), "img_size": 32, "num_classes": 3}


@pytest.fixture
def adapted():
    torch.manual_seed(0)
    model = fastitpn.create_model("fastitpn_nano", **NAMES)
    add_lora(model, 2)
    return model


def test_it_begins_as_the_network_without_and_learns_adapters_and_head(adapted):
    plain = fastitpn.create_model("fastitpn_nano", **NAMES)
    plain.load_state_dict(merged(adapted.state_dict()))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(adapted.eval()(images), plain.eval()(images))
    adapted.train()(images).square().sum().backward()
    learns = {name for name, parameter in adapted.named_parameters() if parameter.grad is not None}
    assert learns == {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    adapters = {name for name in learns if ".lora_" in name}
    assert learns - adapters == {"fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"}
    linear = [name for name, module in plain.stages.named_modules() if isinstance(module, torch.nn.Linear)]
    layers = [name for name in linear if name.split(".")[1] != "merge"]
    assert len(adapters) == 2 * len(layers) > 20


def test_merged_weights_are_those_of_the_same_network(adapted):
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.1)
    plain = fastitpn.create_model("fastitpn_nano", **NAMES)
    before = plain.state_dict().keys()
    weights = merged(adapted.state_dict())
    assert list(weights) == list(before)
    plain.load_state_dict(weights)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(adapted.eval()(images), plain.eval()(images))


def test_a_run_leaves_plain_weights_and_goes_on_to_the_same_bits(scenes, pretrained_run, tmp_path):
    keys = {"data": scenes.train, "val": scenes.val, "weights": pretrained_run.directory, "lora": 2, "lr": 0.01}
    keys |= {**FINETUNING, "steps": 2}
    run = fastitpn.finetune("classify", **keys, out=tmp_path / "run")
    saved, before = load_checkpoint(run.best_checkpoint)["weights"], content(pretrained_run)["weights"]
    name = "stages.2.blocks.0.attn.qkv.weight"
    assert not any("lora" in key for key in saved)
    change = saved[name] - before[f"backbone.{name}"]
    assert 0 < torch.linalg.matrix_rank(change, rtol=1e-3) <= 2
    assert torch.equal(saved["patch_embed.proj.weight"], before["backbone.patch_embed.proj.weight"])
    assert fastitpn.load(run.best_checkpoint, device="cpu").px == 32
    assert not fastitpn.finetune("classify", **keys, out=tmp_path / "stopped", max_minutes=1e-9).complete
    stopped = fastitpn.finetune("classify", **keys, out=tmp_path / "stopped")
    assert figures(stopped) == figures(run)
    for part in ("weights", "training"):
        assert_same(content(stopped)[part], content(run)[part])


def test_with_moving_averages_and_bf16_it_goes_on_to_the_same_bits_and_is_exported(scenes, pretrained_run, tmp_path):
    keys = {"data": scenes.train, "val": scenes.val, "weights": pretrained_run.directory, "lora": 2, "lr": 0.01}
    keys |= {**FINETUNING, "steps": 3, "ema": 0.5, "precision": "bf16-mixed"}
    run = fastitpn.finetune("classify", **keys, out=tmp_path / "run")
    assert not fastitpn.finetune("classify", **keys, out=tmp_path / "stopped", max_minutes=1e-9).complete
    stopped = fastitpn.finetune("classify", **keys, out=tmp_path / "stopped")
    assert figures(stopped) == figures(run)
    for part in ("weights", "training"):
        assert_same(content(stopped)[part], content(run)[part])
    averaged = load_checkpoint(run.best_checkpoint)["weights"]
    assert not any("lora" in key for key in averaged)
    out = fastitpn.export("torch_export", run.directory, px=32, out=tmp_path / "exported")
    before, after = (fastitpn.load(place, device="cpu")(scenes.val) for place in (run.directory, out))
    assert len(before) == len(after) > 1
    first, second = ([next(iter(one.to_json()["labels"])) for one in results] for results in (before, after))
    assert first == second


@pytest.mark.parametrize("keys", [{}, {"weights": "w", "freeze": "trunk"}, {"weights": "w", "strategy": "fsdp"}])
def test_what_it_does_not_go_with(keys):
    with pytest.raises(InputError, match="lora: expected none without weights, with freeze or with strategy=fsdp"):
        build(ClassifyConfig, {"data": "x", "lora": 8, **keys})


def test_without_peft(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match="peft is not installed") as caught:
        add_lora(fastitpn.create_model("fastitpn_nano", **NAMES), 2)
    assert caught.value.fix == "pip install 'fastitpn[lora]'"
