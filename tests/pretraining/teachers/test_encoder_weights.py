"""From a file into the encoder of a teacher."""

import random

import pytest
import timm
import torch
from safetensors.torch import save_file

from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.encoder_weights import load_encoder_weights
from fastitpn.pretraining.teachers.timm_teacher import TimmTeacher


def test_by_name_without_the_classifier(weights):
    encoder = timm.create_model("test_resnet", num_classes=0)
    load_encoder_weights(encoder, weights("test_resnet"))
    stored = torch.load(weights("test_resnet"), weights_only=True)
    assert all(torch.equal(value, stored[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("nesting", ["state_dict", "model"])
def test_nested(nesting, weights, tmp_path):
    torch.save({nesting: torch.load(weights("test_vit"), weights_only=True), "epoch": 3}, tmp_path / "a.pth")
    load_encoder_weights(timm.create_model("test_vit", num_classes=0), tmp_path / "a.pth")


def test_in_their_order_under_other_names(weights, tmp_path, caplog):
    stored = torch.load(weights("test_resnet"), weights_only=True)
    other = {f"net.{place}.{name.rpartition('.')[2]}": value for place, (name, value) in enumerate(stored.items())}
    torch.save({name: value for name, value in other.items() if "num_batches" not in name}, tmp_path / "a.pth")
    encoder = timm.create_model("test_resnet", num_classes=0)
    with caplog.at_level("INFO", "fastitpn"):
        load_encoder_weights(encoder, tmp_path / "a.pth")
    own = {name: value for name, value in encoder.state_dict().items() if "num_batches" not in name}
    assert all(torch.equal(value, stored[name]) for name, value in own.items())
    assert "paired by their order" in caplog.text


def test_of_the_demos_package():
    """Real weights under other names."""
    from fastitpn.tasks.demonstration import TEACHER, teacher_file

    teacher = TimmTeacher(TEACHER, grid=2, weights=teacher_file())
    stored, encoder = torch.load(teacher_file(), weights_only=True), teacher.encoder
    assert torch.equal(encoder.conv_stem.weight, stored["_conv_stem.weight"])
    assert torch.equal(encoder.blocks[-1][-1].bn3.running_var, stored["_blocks.15._bn2.running_var"])
    assert torch.equal(encoder.bn2.running_var, stored["_bn1.running_var"])
    assert teacher.mean == teacher.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("change", ["another order in a norm", "too many", "too few", "sorted"])
def test_an_order_that_cannot_be_trusted_is_refused(change, weights, tmp_path):
    stored = torch.load(weights("test_resnet"), weights_only=True)
    names = list(stored)
    if change == "another order in a norm":
        first = names.index("bn1.weight")
        names[first : first + 2] = ["bn1.bias", "bn1.weight"]
    other = {f"net.{name.replace('.', '_.', 1)}": stored[name].contiguous() for name in names}  # no mere prefix
    if change == "too many":  # a deeper network begins with the same shapes
        other |= {f"net.more.{place}.weight": torch.zeros(3) for place in range(4)}
    if change == "sorted":  # by name: here in the right order, but only by chance
        other = {f"{place:03}.{name}": value for place, (name, value) in enumerate(other.items())}
    if change == "too few":
        del other["net.layer4_.0.conv1.weight"]
    path = tmp_path / ("a.safetensors" if change == "sorted" else "a.pth")
    save_file(other, path) if change == "sorted" else torch.save(other, path)
    with pytest.raises(InputError, match="the teacher's weights do not fit") as caught:
        load_encoder_weights(timm.create_model("test_resnet", num_classes=0), path)
    assert caught.value.where == path
    assert "the first conv1.0.weight of" in caught.value.expected or "the first conv1" in caught.value.expected
    assert "teacher.weights=FILE" in caught.value.fix


def test_of_another_width(weights, tmp_path):
    stored = torch.load(weights("test_vit"), weights_only=True)
    stored["norm.weight"] = torch.ones(7)
    torch.save(stored, tmp_path / "a.pth")
    with pytest.raises(InputError, match="1 of the teacher's tensors have another shape") as caught:
        load_encoder_weights(timm.create_model("test_vit", num_classes=0), tmp_path / "a.pth")
    assert caught.value.expected.startswith("norm.weight of [64], found [7]")


def test_a_file_that_is_missing_damaged_or_wants_to_run_code(tmp_path):
    encoder = timm.create_model("test_vit", num_classes=0)
    with pytest.raises(InputError, match="there is no such file of the teacher's weights") as caught:
        load_encoder_weights(encoder, tmp_path / "a.pth")
    assert (caught.value.where, caught.value.fix) == (tmp_path / "a.pth", "teacher.weights=FILE")
    (tmp_path / "b.pth").write_text("file,class\n")
    with pytest.raises(InputError, match="the file is damaged or no PyTorch file"):
        load_encoder_weights(encoder, tmp_path / "b.pth")
    torch.save(random.Random(), tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"refused to load: the file wants to call 'random\.Random'"):
        load_encoder_weights(encoder, tmp_path / "c.pth")


@pytest.mark.parametrize(("key", "prefix"), [("model_ema", ""), ("net", "module."), ("state_dict", "model.visual.")])
def test_under_any_key_and_prefix(key, prefix, tmp_path):
    torch.manual_seed(1)
    wanted = timm.create_model("test_vit", num_classes=0).state_dict()
    beside = {"text.weight": torch.zeros(2), "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}
    content = {key: {**beside, **{f"{prefix}{name}": tensor for name, tensor in wanted.items()}}, "args": random.Random}
    torch.save(content, tmp_path / "a.pth")
    encoder = timm.create_model("test_vit", num_classes=0)
    load_encoder_weights(encoder, tmp_path / "a.pth")
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in encoder.state_dict().items())
