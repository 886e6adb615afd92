"""Back to the published names, from a run."""

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import TRAINING, content

import fastitpn
from fastitpn.errors import InputError


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_run_goes_there_and_back_to_the_bit(pretrained_run, tmp_path, suffix):
    out = fastitpn.export("official", pretrained_run.directory, out=tmp_path / "new" / f"a{suffix}")
    tensors = load_file(out) if suffix == ".safetensors" else torch.load(out, weights_only=True)["model"]
    assert {"mask_token", "lm_head.weight", "decoder_embed.2.1.weight", "blocks.0.norm2.weight"} <= set(tensors)
    saved = content(pretrained_run)
    model = fastitpn.create_pretraining_model(saved["model"]["name"], **saved["model"]["arguments"])
    assert fastitpn.load_weights(model, out).ok
    assert all(torch.equal(value, saved["weights"][name]) for name, value in model.state_dict().items())


def test_what_the_published_model_lacks_is_left_out_with_a_line(scenes, tmp_path, capsys):
    keys = {**TRAINING, "pictures": False, "objective": "per_level", "auxiliary": 1, "predictor": "mlp"}
    run = fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path / "run", **keys)
    out = fastitpn.export("official", run.directory, out=tmp_path / "a.pt")
    assert "left out that the published pre-training does not have" in capsys.readouterr().out
    tuned = fastitpn.create_model("fastitpn_nano", pyramid=True, num_classes=0, global_pool="", img_size=32)
    assert fastitpn.load_weights(tuned, out).ok
    assert torch.equal(tuned.pos_embed, content(run)["weights"]["backbone.pos_embed"])


def test_what_it_cannot_do(pretrained_run, tmp_path):
    with pytest.raises(InputError, match=r"out is a\.onnx"):
        fastitpn.export("official", pretrained_run.directory, out=tmp_path / "a.onnx")
    with pytest.raises(InputError, match="no form 'onx'"):
        fastitpn.export("onx", pretrained_run.directory)


def test_what_a_tracker_has_beside_the_trunk_is_said(tmp_path, capsys):
    state = fastitpn.to_official_names(fastitpn.create_model("fastitpn_nano").state_dict())
    net = {f"backbone.{name}": tensor for name, tensor in state.items()} | {"box_head.weight": torch.zeros(2)}
    torch.save({"net": net}, tmp_path / "a.pth")
    fastitpn.export("official", tmp_path / "a.pth", out=tmp_path / "b.pt")
    assert "; 1 not needed here: other parts of the network (box_head)\n" in capsys.readouterr().out
