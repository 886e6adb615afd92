import io
from fractions import Fraction

import pytest
import torch
from inference_example import CLASSES, PX
from rich.console import Console
from safetensors.torch import save_file

import fastitpn
from fastitpn.cli.main import main
from fastitpn.errors import InputError
from fastitpn.models.registry import create_model
from fastitpn.models.weights.official_names import to_official_names
from fastitpn.runs.checkpoint import save_checkpoint
from fastitpn.tasks.inspection import inspect


@pytest.fixture
def published(model, tmp_path):
    """A classifier as the published code saves it, in fp16."""
    tensors = {name: tensor.half() for name, tensor in fastitpn.to_official_names(model.state_dict()).items()}
    torch.save({"module": tensors, "epoch": 3}, tmp_path / "published.pt")
    return tmp_path / "published.pt"


def test_our_classifier(checkpoint):
    seen = inspect(checkpoint)
    assert seen.what == "classifier, a checkpoint of fastitpn (task classify, step 300)"
    assert (seen.kind, seen.published, seen.task, seen.step) == ("classifier", False, "classify", 300)
    assert (seen.model, seen.depths, seen.embed_dim) == ("fastitpn_nano", (1, 1, 6), 192)
    assert (seen.px, seen.num_tokens, seen.in_chans) == (PX, 4, 3)
    assert (seen.num_classes, seen.classes) == (5, tuple(CLASSES))
    assert (seen.pyramid_dim, seen.pyramid_hidden, seen.teacher_dim) == (None, None, None)
    assert (seen.nesting, seen.dtypes) == ("weights", {"float32": seen.num_tensors})
    [verdict] = seen.verdicts
    assert verdict.ok
    assert verdict.model == f"create_model('fastitpn_nano', img_size={PX}, num_classes=5)"
    loaded = f"all {seen.num_tensors} tensors of the trunk and the head loaded"
    assert verdict.sentence == f"{loaded}; all of the file's {seen.num_tensors} tensors (100.0% of its parameters)"


def test_figures_are_those_of_the_model(checkpoint, model):
    seen = inspect(checkpoint)
    assert seen.num_tensors == len(model.state_dict())
    assert seen.num_parameters == sum(parameter.numel() for parameter in model.parameters())


def test_our_pretraining_checkpoint_gets_both_verdicts(pretrained):
    seen = inspect(pretrained)
    assert seen.what == "pre-training weights, a checkpoint of fastitpn (task pretrain, step 7)"
    assert (seen.pyramid_dim, seen.pyramid_hidden, seen.teacher_dim, seen.num_classes) == (64, 170, 96, 0)
    first, second = seen.verdicts
    assert first.ok
    assert second.ok
    assert first.model == f"create_pretraining_model('fastitpn_nano', img_size={PX}, teacher_dim=96)"
    assert first.sentence.endswith("(100.0% of its parameters)")
    assert second.model == f"create_model('fastitpn_nano', img_size={PX})"
    for part in (
        "not needed here: used in pre-training only",
        "not needed here: pyramid",
        "all 141 tensors of the trunk loaded; the head is new; ",
    ):
        assert part in second.sentence


def test_a_published_file(published, model):
    seen = inspect(published)
    assert seen.what == "classifier, with the published names"
    assert (seen.published, seen.nesting, seen.classes, seen.task) == (True, "module", None, None)
    assert seen.num_tensors == len(fastitpn.to_official_names(model.state_dict())) > len(model.state_dict())
    assert seen.dtypes == {"float16": seen.num_tensors}
    assert seen.verdicts[0].ok
    assert "classes       5, without names" in str(seen)
    assert seen.acceleration is None
    assert "acceleration" not in str(seen)


@pytest.mark.parametrize("nesting", [None, "model", "state_dict"])
def test_other_nestings(model, tmp_path, nesting):
    weights = model.state_dict()
    torch.save(weights if nesting is None else {nesting: weights, "optimizer": {}}, tmp_path / "a.pth")
    seen = inspect(tmp_path / "a.pth")
    assert seen.nesting == nesting
    assert seen.what == "classifier, with names of fastitpn"


def test_the_format_before_zip_files(model, tmp_path):
    torch.save({"model": model.state_dict()}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert inspect(tmp_path / "a.pt").nesting == "model"


def test_safetensors(model, tmp_path):
    save_file(dict(model.state_dict()), tmp_path / "a.safetensors")
    seen = inspect(tmp_path / "a.safetensors")
    assert (seen.nesting, seen.kind) == (None, "classifier")


def test_a_trunk_with_a_pyramid(tmp_path):
    model = fastitpn.create_model("fastitpn_nano", pyramid=True, num_classes=0, global_pool="", pyramid_dim=96)
    torch.save(model.state_dict(), tmp_path / "a.pt")
    seen = inspect(tmp_path / "a.pt")
    assert seen.what == "trunk without a head, with names of fastitpn"
    assert (seen.pyramid_dim, seen.pyramid_hidden) == (96, 256)
    assert seen.verdicts[0].model == "create_model('fastitpn_nano', pyramid=True, pyramid_dim=96, num_classes=0)"
    assert seen.verdicts[0].ok


def test_the_call_in_a_verdict_builds_the_model(tmp_path):
    arguments = {"img_size": (48, 32), "num_classes": 3, "init_values": 0.0, "in_chans": 4, "class_token": True}
    model = fastitpn.create_model("fastitpn_nano", swiglu=False, **arguments)
    torch.save(model.state_dict(), tmp_path / "a.pt")
    seen = inspect(tmp_path / "a.pt")
    assert (seen.px, seen.num_tokens, seen.in_chans) == (None, 6, 4)
    arguments = {"num_classes": 3, "init_values": 0.0, "in_chans": 4, "class_token": True, "swiglu": False}
    for name, value in arguments.items():
        assert f"{name}={value!r}" in seen.verdicts[0].model


def test_a_size_without_a_name(tmp_path):
    model = fastitpn.create_model("fastitpn_nano", depths=(1, 1, 2), num_classes=3)
    torch.save(model.state_dict(), tmp_path / "a.pt")
    seen = inspect(tmp_path / "a.pt")
    assert seen.model is None
    assert "no named size (blocks 1-1-2, width 192)" in str(seen)
    assert seen.verdicts[0].ok
    assert "depths=(1, 1, 2)" in seen.verdicts[0].model


def test_a_named_model_to_compare_with(checkpoint):
    [verdict] = inspect(checkpoint, "fastitpn_nano").verdicts
    assert verdict.ok
    assert "pos_embed resized 2x2 -> 4x4 (bicubic)" in verdict.sentence
    [verdict] = inspect(checkpoint, "fastitpn_tiny").verdicts
    assert not verdict.ok
    assert verdict.sentence.startswith("these are weights of fastitpn_nano, the model has embed_dim=384")
    assert str(verdict).startswith("DOES NOT FIT create_model('fastitpn_tiny', num_classes=5)")


def test_weights_with_something_missing_do_not_fit(content, tmp_path):
    weights = {name: tensor for name, tensor in content["weights"].items() if name != "stages.0.blocks.0.mlp.fc1.bias"}
    save_checkpoint(tmp_path / "a.ckpt", {**content, "weights": weights})
    [verdict] = inspect(tmp_path / "a.ckpt").verdicts
    assert not verdict.ok
    assert verdict.sentence.startswith(
        "1 MISSING: stages.0.blocks.0.mlp.fc1.bias; all 4 tensors of the head loaded; 140 of 141 "
    )


def test_the_command_line_prints_all_of_it(pretrained, capsys):
    assert main(["inspect", str(pretrained)]) == 0
    printed = capsys.readouterr().out
    assert printed == f"{inspect(pretrained)}\n"
    assert "pyramid       64 channels, 170 hidden" in printed
    assert "acceleration  off" in printed
    assert printed.count("verdict       fits ") == 2
    assert "verdict       fits create_model" in printed


def test_the_table_on_a_terminal(checkpoint):
    file = io.StringIO()
    Console(file=file, width=200, force_terminal=True).print(inspect(checkpoint))
    assert "[bold]oak" in file.getvalue()
    assert "\x1b[32mfits create_model" in file.getvalue()


def test_names_are_shown_and_not_obeyed(content, tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", {**content, "classes": [f"\x1b[2J{n}" for n in range(5)]})
    file = io.StringIO()
    Console(file=file, width=200, force_terminal=True).print(inspect(tmp_path / "a.ckpt"))
    assert "\x1b[2J" not in file.getvalue() + str(inspect(tmp_path / "a.ckpt"))


def test_long_lists_of_classes_are_cut(tmp_path, content):
    weights = {
        name: torch.zeros(30, *tensor.shape[1:]) if name.startswith("head.") else tensor
        for name, tensor in content["weights"].items()
    }
    save_checkpoint(tmp_path / "a.ckpt", {**content, "classes": [f"c{n}" for n in range(30)], "weights": weights})
    assert "classes       30: c0, c1, c2, c3, c4, c5, c6, c7, ...\n" in str(inspect(tmp_path / "a.ckpt"))


def test_the_command_fails_where_a_file_does_not_fit_the_model_asked_for(pretrained, capsys):
    assert main(["inspect", str(pretrained), "model=fastitpn_tiny"]) == 1
    printed = capsys.readouterr()
    assert printed.out.count("verdict       DOES NOT FIT") == 2
    instead = "it fits create_model('fastitpn_nano', img_size=32)"
    assert printed.err == f"{pretrained} does not fit fastitpn_tiny: see its verdict above; {instead}\n"
    assert main(["inspect", str(pretrained), "model=fastitpn_nano"]) == 0


def test_the_command_fails_where_a_file_fits_no_model(content, tmp_path, capsys):
    weights = {name: tensor for name, tensor in content["weights"].items() if name != "stages.0.blocks.0.mlp.fc1.bias"}
    save_checkpoint(tmp_path / "a.ckpt", {**content, "weights": weights})
    assert main(["inspect", str(tmp_path / "a.ckpt")]) == 1
    assert f"{tmp_path / 'a.ckpt'} does not fit any model: see its verdict above" in capsys.readouterr().err


def test_a_tracker_s_file_with_its_average(tmp_path):
    """Key, prefix, other parts, objects that are passed over and other networks are said."""
    torch.manual_seed(0)
    trunk = to_official_names(create_model("fastitpn_nano", num_classes=0, img_size=64).state_dict())
    net = {f"encoder.body.{name}": tensor for name, tensor in trunk.items()}
    net |= {"encoder.body.search_token": torch.zeros(192), "text_encoder.a": torch.zeros(1)}
    content = {"net": net, "ema": net | {"decoder.a": torch.zeros(1)}, "settings": Fraction(1, 2)}
    torch.save(content, tmp_path / "a.pth.tar")
    seen = inspect(tmp_path / "a.pth.tar")
    assert (seen.nesting, seen.prefix, seen.client) == ("net", "encoder.body.", "SUTrack")
    assert seen.parts == {"token types of a tracker": 1, "other parts of the network (text_encoder)": 1}
    lines = str(seen).splitlines()
    assert lines[1] == "what          trunk without a head in a checkpoint of SUTrack, with the published names"
    assert "tensors       155 (float32), under 'net', prefix 'encoder.body.'" in lines
    assert "not needed    1 tensor: other parts of the network (text_encoder)" in lines
    taken = "took key=net; key=ema takes the average"
    assert f"note          {taken}" in lines
    assert "note          passed over, and not run: objects of fractions.Fraction" in lines
    assert seen.verdicts[0].ok
    assert "passed over" not in seen.verdicts[0].sentence
    assert inspect(tmp_path / "a.pth.tar", key="ema").parts["other parts of the network (text_encoder, decoder)"] == 2
    assert inspect(tmp_path / "a.pth.tar", blocks="1-2", key="net").depths == (1, 1, 2)


def test_code_in_a_file_is_refused_and_not_run(malicious, capsys):
    path, trace = malicious
    assert main(["inspect", str(path)]) == 2
    assert "refused to load: the file wants to call" in capsys.readouterr().err
    assert not trace.exists()


def test_weights_of_something_else(tmp_path):
    torch.save({"layer1.weight": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="these are not Fast-iTPN weights"):
        inspect(tmp_path / "a.pt")
    linear = {f"blocks.{n}.reduction.weight": torch.zeros(2, 2) for n in (3, 7)}
    linear["patch_embed.proj.weight"] = torch.zeros(1, 3, 4, 4)
    torch.save(linear, tmp_path / "b.pt")
    with pytest.raises(InputError, match=r"not Fast-iTPN weights: merges of shapes \[2, 2\]"):
        inspect(tmp_path / "b.pt")


def test_what_is_not_there(checkpoint, tmp_path):
    with pytest.raises(InputError, match="no such weights file"):
        inspect(tmp_path / "a.pt")
    with pytest.raises(InputError, match="there is no model 'fastitpn_tino'") as caught:
        inspect(checkpoint, "fastitpn_tino")
    assert caught.value.fix == "model=fastitpn_tiny"


def test_a_segmentation(segmenter_run):
    seen = inspect(segmenter_run.directory)
    assert (seen.task, seen.num_classes, seen.classes[0]) == ("segment", 4, "background")
    assert seen.what.startswith("segmentation network with the head linear, a checkpoint of fastitpn")
    [verdict] = seen.verdicts
    assert verdict.ok
    assert "not needed here: head of another task, such as segmentation" in verdict.sentence
