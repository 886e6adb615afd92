"""What all teachers do."""

import copy

import pytest
import torch
import torch.nn.functional as F
from published import nano, student

from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.ema_teacher import EmaTeacher
from fastitpn.pretraining.teachers.keys import create_teacher
from fastitpn.pretraining.teachers.timm_encoder import TimmKeys
from fastitpn.pretraining.teachers.timm_teacher import TimmTeacher


class Followed(torch.nn.Module):
    """A model that a teacher might follow."""

    def __init__(self):
        super().__init__()
        self.backbone = nano()


@pytest.fixture(params=["test_resnet", "ema"])
def teacher(request, weights) -> Teacher:
    """One that is fixed, and one that is not."""
    if request.param == "ema":
        return EmaTeacher(nano(img_size=64, num_classes=0, global_pool=""), px=64, mean=(0.5,) * 3, std=(0.5,) * 3)
    return TimmTeacher(request.param, grid=4, weights=weights(request.param))


def test_features_are_normalised_over_their_width(weights):
    teacher = TimmTeacher("test_vit", grid=4, weights=weights("test_vit"))
    images = torch.randn(2, 3, 64, 64)
    target = teacher(images)
    torch.testing.assert_close(target.mean(-1), torch.zeros(2, 16), atol=1e-5, rtol=0)
    expected = F.layer_norm(teacher.features(images), (teacher.dim,))
    torch.testing.assert_close(target, expected)


def test_standardising_leaves_out_what_all_patches_share(weights):
    plain = TimmTeacher("test_resnet", grid=4, weights=weights("test_resnet"))
    keys = TimmKeys(name="timm:test_resnet", weights=weights("test_resnet"), standardise=True)
    teacher = create_teacher(keys, student(px=64))
    images = torch.randn(3, 3, 128, 128)
    features = plain.features(images)
    spread = features.flatten(0, 1)
    expected = F.layer_norm((features - spread.mean(0)) / (spread.std(0) + 1e-6), (teacher.dim,))
    torch.testing.assert_close(teacher(images), expected)
    with torch.no_grad():
        shifted = copy.copy(teacher)
        shifted.features = lambda x: features + torch.arange(teacher.dim)  # the same for all patches
        assert F.cosine_similarity(shifted(images), expected, dim=-1).min() > 0.999
        assert F.cosine_similarity(shifted(images), plain(images), dim=-1).max() < 0.9


def test_one_patch_alone_cannot_be_standardised():
    teacher = Teacher()
    teacher.standardise = True
    teacher.features = lambda x: x
    assert teacher(torch.randn(1, 1, 8)).isfinite().all()


def test_a_batch_in_chunks_is_the_same(teacher, monkeypatch):
    monkeypatch.setattr("fastitpn.pretraining.teachers.timm_teacher.CPU_CHUNK", 4)
    images = torch.randn(5, 3, teacher.px, teacher.px)  # one more than a chunk
    if isinstance(teacher, EmaTeacher):
        teacher.features = teacher.trunk.forward_features  # what it subtracts depends on the batch
    together = teacher.features(images).flatten(1)
    each = torch.cat([teacher.features(image[None]) for image in images]).flatten(1)
    torch.testing.assert_close(together, each, atol=1e-4, rtol=1e-4)


def test_no_graph_and_no_training_mode(teacher):
    teacher.train()
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    images = torch.randn(2, 3, teacher.px, teacher.px, requires_grad=True)
    target = teacher(images)
    assert (target.requires_grad, target.grad_fn, target.dtype) == (False, None, torch.float32)
    assert target.shape == (2, 16, teacher.dim)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    teacher(images)  # running statistics stay as they are
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())


def test_a_fixed_teacher_stays(weights):
    teacher = TimmTeacher("test_vit", grid=4, weights=weights("test_vit"))
    before = copy.deepcopy(teacher.state_dict())
    teacher.begin(Followed())
    teacher.follow(Followed(), 1.0)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
