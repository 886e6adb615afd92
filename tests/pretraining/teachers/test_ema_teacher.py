"""The teacher that is the student's past."""

import pytest
import torch
import torch.nn.functional as F
from published import nano, randn, student

from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.pretraining.teachers.ema_teacher import EmaTeacher
from fastitpn.pretraining.teachers.keys import create_teacher


def backbone_and_teacher(**keys):
    """Of a student of 64 px."""
    backbone = nano(img_size=64, pyramid=True, num_classes=0, global_pool="")
    return backbone, create_teacher(EmaKeys(**keys), student(backbone, px=64))


class Model(torch.nn.Module):
    """What the teacher follows."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


def test_it_starts_as_the_student_without_its_pyramid():
    backbone, teacher = backbone_and_teacher()
    learnt = dict(backbone.named_parameters())
    copied = dict(teacher.trunk.named_parameters())
    assert copied
    assert all(torch.equal(value, learnt[name]) for name, value in copied.items())
    assert not any("pyramid" in name for name in copied)
    assert backbone.pyramid is not None
    assert not {id(p) for p in learnt.values()} & {id(p) for p in copied.values()}


@pytest.mark.parametrize(("progress", "momentum"), [(0.0, 0.5), (0.5, 0.7), (1.0, 0.9)])
def test_it_follows_with_a_momentum_that_rises(progress, momentum):
    backbone, teacher = backbone_and_teacher(momentum_start=0.5, momentum=0.9)
    with torch.no_grad():
        backbone.pos_embed.zero_()
        teacher.trunk.pos_embed.fill_(1)
    teacher.follow(Model(backbone), progress)
    torch.testing.assert_close(teacher.trunk.pos_embed, torch.full((1, 16, 192), momentum))


def test_it_follows_in_every_parameter():
    backbone, teacher = backbone_and_teacher(momentum_start=0.5, momentum=0.5)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(1)
    before = {name: value.clone() for name, value in teacher.trunk.named_parameters()}
    teacher.follow(Model(backbone), 1.0)
    for name, value in teacher.trunk.named_parameters():
        torch.testing.assert_close(value, before[name] + 0.5, msg=name)


def test_it_begins_as_the_student_is_then():
    backbone, teacher = backbone_and_teacher()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(2)
    teacher.begin(Model(backbone))
    learnt = dict(backbone.named_parameters())
    assert all(torch.equal(value, learnt[name]) for name, value in teacher.trunk.named_parameters())


def test_targets_are_the_mean_of_the_last_blocks():
    backbone, teacher = backbone_and_teacher()
    images = randn(2, 3, 64, 64)
    outputs = []
    for block in backbone.stages[2].blocks[-3:]:
        block.register_forward_hook(lambda module, inputs, output: outputs.append(F.layer_norm(output, (192,))))
    with torch.no_grad():
        backbone.encode(images)
    expected = sum(outputs) / 3
    torch.testing.assert_close(teacher.features(images), expected - expected.mean(0))
    assert (teacher.dim, type(teacher)) == (192, EmaTeacher)


def test_a_student_cannot_score_with_the_place_alone():
    _, teacher = backbone_and_teacher()
    features = teacher.features(randn(4, 3, 64, 64))
    torch.testing.assert_close(features.mean(0), torch.zeros(16, 192), atol=1e-5, rtol=0)
    assert teacher.features(randn(1, 3, 64, 64)).abs().sum() > 0  # one image has no others to compare with
