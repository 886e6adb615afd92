"""The network: its features are the pyramid's, a frozen one stays as it is, any size runs."""

import pytest
import torch

from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.segment.model import Segmenter, create_segmenter

MODEL = {"name": "fastitpn_nano", "arguments": {"img_size": 64}}


def segmenter(head: str = "linear", features: str = "pyramid", **keys) -> Segmenter:
    torch.manual_seed(0)
    arguments = {"width": 16, "auxiliary_width": 8} if head == "upernet" else {}
    spec = {"name": head, "arguments": arguments, "features": features}
    return create_segmenter(MODEL, spec, 4, **keys)


def test_the_pyramid_is_the_neck():
    model = segmenter().eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = model.backbone.pyramid_features(images)
        for one, other in zip(model.feature_maps(images), expected, strict=True):
            assert torch.equal(one, other)
    assert isinstance(model.backbone, FastITPN)
    assert model.backbone.num_classes == 0


def test_the_published_form_puts_the_trunk_beside_the_pyramid():
    model = segmenter("upernet", "pyramid_and_trunk").eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = model.feature_maps(images)
        pyramid = model.backbone.pyramid_features(images)
        trunk = FastITPN.forward_intermediates
        plain = segmenter().backbone
        plain.load_state_dict(model.backbone.state_dict())
        plain.pyramid = None
        stages = trunk(plain.eval(), images, indices=[0, 1, 2], intermediates_only=True)
    assert [tuple(level.shape) for level in maps] == [
        (1, 64 + 48, 16, 24),
        (1, 64 + 96, 8, 12),
        (1, 64 + 192, 4, 6),
        (1, 64 + 192, 2, 3),
    ]
    for level, ours, theirs in zip(maps, pyramid, stages, strict=False):
        torch.testing.assert_close(level, torch.cat((ours, theirs), 1))
    torch.testing.assert_close(maps[3], torch.nn.functional.max_pool2d(maps[2], 2))
    assert model.log_probabilities(images).shape == (1, 4, 16, 24)


@pytest.mark.parametrize("size", [(32, 32), (48, 80), (128, 64)])
@pytest.mark.parametrize("head", ["linear", "upernet"])
def test_any_size_runs(head, size):
    model = segmenter(head).eval()
    with torch.no_grad():
        assert model.log_probabilities(torch.randn(2, 3, *size)).shape == (2, 4, size[0] // 4, size[1] // 4)


def test_a_frozen_network_trains_its_head_alone():
    model = segmenter(drop_path_rate=0.5).train()
    model.backbone.requires_grad_(False).eval()  # as `freeze` leaves it
    assert model.head.training
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    images = torch.randn(2, 3, 64, 64)
    one = model.head.losses(model(images), masks)["loss"]
    assert torch.equal(model.head.losses(model(images), masks)["loss"], one)  # nothing is dropped
    one.backward()
    assert all(parameter.grad is None for parameter in model.backbone.parameters())
    assert all(parameter.grad is not None for parameter in model.head.parameters())


def test_it_runs_with_each_acceleration():
    model = segmenter().eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        plain = model.log_probabilities(images)
        for name in ("balanced", "fast"):
            model.backbone.set_acceleration(name)
            faster = model.log_probabilities(images)
            assert faster.shape == plain.shape
            assert not torch.equal(faster, plain)
        model.backbone.set_acceleration("off")
        assert torch.equal(model.log_probabilities(images), plain)
