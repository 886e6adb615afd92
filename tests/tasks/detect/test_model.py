"""What holds for all detectors: losses, any size, independence of the batch, acceleration, precision, plain types."""

import json

import pytest
import torch

from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.detect.heads.registry import DETECTORS
from fastitpn.tasks.detect.model import create_detector


def spread(model):
    """Makes the scores of a fresh detector differ."""
    torch.manual_seed(5)
    for key, parameter in model.named_parameters():
        if key.startswith(model.class_layers) and parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def assert_same(one, other, *, abs=1e-3):
    assert len(one["scores"]) == len(other["scores"]) > 0
    torch.testing.assert_close(one["scores"], other["scores"], atol=abs, rtol=0)
    torch.testing.assert_close(one["boxes"], other["boxes"], atol=0.1, rtol=0)
    assert torch.equal(one["labels"], other["labels"])
    for mask, own in zip(one.get("masks", ()), other.get("masks", ()), strict=True):
        assert (mask ^ own).sum() <= 2  # pixels on a rim


def test_losses_reach_every_parameter(name, create, pictures):
    model = create(name).train()
    losses = model.losses(*pictures)
    parts = [value for key, value in losses.items() if key != "loss"]
    assert all(key == "loss" or key.startswith("loss_") for key in losses)
    torch.testing.assert_close(losses["loss"], torch.stack(parts).sum())
    losses["loss"].backward()
    assert not [key for key, parameter in model.named_parameters() if parameter.grad is None]
    trained = [key for key, parameter in model.named_parameters() if parameter.grad.abs().sum() > 0]
    assert any(key.startswith("backbone.pyramid.") for key in trained)
    assert "backbone.patch_embed.proj.weight" in trained


def test_images_without_objects_are_learnt_from(name, create, pictures):
    images, targets = pictures
    nothing = [{key: value[:0] for key, value in target.items()} for target in targets]
    model = create(name).train()
    for case in ([targets[0], nothing[1]], nothing):
        model.zero_grad()
        loss = model.losses(images, case)["loss"]
        assert torch.isfinite(loss)
        loss.backward()
        missing = [key for key, parameter in model.named_parameters() if parameter.grad is None]
        assert not missing  # or training on several devices would wait for them forever


def test_the_pyramid_is_the_neck(name, create):
    model = create(name)
    assert isinstance(model.backbone, FastITPN)
    assert model.backbone.num_classes == 0
    assert model.has_masks == DETECTORS[name].needs_masks


@pytest.mark.parametrize("size", [(16, 16), (33, 70), (100, 48)])
def test_any_size_runs(name, create, size):
    model = spread(create(name))
    [found] = model.detect([torch.randn(3, *size)])
    height, width = size
    assert len(found["boxes"]) > 0
    assert found["boxes"].min() >= 0
    assert (found["boxes"].amax(0) <= torch.tensor([width, height, width, height]) + 1e-4).all()
    assert found["labels"].min() >= 0
    assert found["labels"].max() <= 1
    assert (found["scores"].diff() <= 0).all()
    if model.has_masks:
        assert found["masks"].dtype == torch.bool
        assert found["masks"].shape == (len(found["scores"]), *size)


@pytest.mark.parametrize("acceleration", ["off", "balanced"])
def test_detections_do_not_depend_on_the_batch(name, create, acceleration):
    model = spread(create(name))
    # Windows of 2 and 3 patches, some of them padded; the presets' would hold all of these small images.
    gathering = {"window": 3, "global_blocks": 2}
    migration = {"keep_ratio": 0.5, "replenish": "residual"}
    model.backbone.set_acceleration(
        "off" if acceleration == "off" else {"gathering": gathering, "migration": migration}
    )
    images = [torch.randn(3, *size) for size in ((50, 70), (120, 100), (50, 70), (64, 80))]
    together = model.detect(images)
    for image, found in zip(images, together, strict=True):
        [alone] = model.detect([image])
        assert_same(alone, found)
    [plain] = model.detect(images[:1])
    model.backbone.set_acceleration("off")
    assert (acceleration == "off") == torch.equal(plain["scores"], model.detect(images[:1])[0]["scores"])


@pytest.mark.parametrize("acceleration", ["balanced", "fast"])
def test_it_trains_with_acceleration(name, create, pictures, acceleration):
    model = create(name).train()
    model.backbone.set_acceleration(acceleration)
    losses = model.losses(*pictures)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_bfloat16(name, create, pictures):
    """In lower precision losses are about the same, and boxes are not rounded to what bfloat16 can say."""
    model = create(name).train()
    torch.manual_seed(3)
    expected = model.losses(*pictures)["loss"]
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.losses(*pictures)["loss"]
        found = spread(model).detect(pictures[0])[0]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=0.1)
    loss.backward()
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    if name in ("mask2former", "maskdino"):  # its boxes are whole pixels; where they begin
        return
    inner = found["boxes"][(found["boxes"] > 33) & (found["boxes"] < 63)]
    assert not torch.equal(inner.bfloat16().float(), inner)


def test_gradient_checkpointing_changes_nothing(name, create, pictures):
    gradients = []
    for checkpointing in (False, True):
        model = create(name).train()
        for module in model.modules():
            if checkpointing and hasattr(module, "set_grad_checkpointing"):
                module.set_grad_checkpointing()
        torch.manual_seed(3)
        model.losses(*pictures)["loss"].backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_it_is_built_again_from_plain_types(name, create, small, pictures):
    model = spread(create(name))
    kept = json.loads(json.dumps({"model": small["model"], "detector": {"name": name, "arguments": small[name]}}))
    again = create_detector(kept["model"], kept["detector"], 2, weight_init="skip")
    again.load_state_dict(model.state_dict())
    for one, other in zip(model.detect(pictures[0]), again.eval().detect(pictures[0]), strict=True):
        assert_same(one, other, abs=0)


def test_the_layers_that_depend_on_the_classes(name, create):
    two, five = create(name).state_dict(), create(name, num_classes=5).state_dict()
    other = {key for key in two if two[key].shape != five[key].shape}
    assert other
    assert all(key.startswith(create(name).class_layers) for key in other)


def test_only_good_detections_where_asked(name, create, pictures):
    model = spread(create(name))
    every = model.detect(pictures[0])[0]
    least = every["scores"].median().item()
    [some] = model.detect(pictures[0][:1], min_score=least)
    assert 0 < len(some["scores"]) < len(every["scores"])
    assert some["scores"].min() >= least


def test_nothing_is_good_enough(name, create, pictures):
    model = spread(create(name))
    for found in model.detect(pictures[0], [(90, 100), (30, 40)], min_score=1.1):
        assert {key: len(value) for key, value in found.items()} == dict.fromkeys(found, 0)
        assert found["boxes"].shape == (0, 4)
    assert not model.has_masks or found["masks"].shape == (0, 30, 40)


def test_boxes_and_masks_in_another_size(name, create, pictures):
    model = spread(create(name))
    image = pictures[0][0]  # 64 x 80
    [own], [twice] = model.detect([image]), model.detect([image], [(128, 240)])
    torch.testing.assert_close(twice["boxes"], own["boxes"] * torch.tensor([3.0, 2.0, 3.0, 2.0]))
    if model.has_masks:
        assert twice["masks"].shape[1:] == (128, 240)


def test_unknown_arguments_are_errors(name):
    with pytest.raises(TypeError, match="colour"):
        create_detector(
            {"name": "fastitpn_nano", "arguments": {}}, {"name": name, "arguments": {"colour": 1}}, num_classes=2
        )
