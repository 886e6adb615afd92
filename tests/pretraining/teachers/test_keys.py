"""A teacher from its keys."""

import pytest
from published import student

from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.pretraining.teachers.keys import TeacherKeys, create_teacher
from fastitpn.pretraining.teachers.stored import StoredKeys
from fastitpn.pretraining.teachers.timm_encoder import TimmKeys
from fastitpn.tasks.pretrain.config import PretrainConfig


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("timm:resnet81", "timm has no model 'resnet81'", "teacher=timm:resnet18"),
        ("timm:vit_bse_patch16_clip_224.openai", "timm has no model", "teacher=timm:vit_base_patch16_clip_224"),
        ("timm:!", "timm has no model '!'", "teacher=ema"),
        ("eam", "there is no teacher 'eam'", "teacher=ema"),
    ],
)
def test_an_unknown_one_names_the_nearest(name, what, fix):
    keys = TimmKeys(name=name) if name.startswith("timm:") else TeacherKeys(name=name)
    with pytest.raises(InputError, match=what) as caught:
        create_teacher(keys, student())
    assert caught.value.fix == fix
    assert caught.value.expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18", r"teacher: expected one of ema, timm:NAME \(.*\), features:FOLDER \(.*\), got 'resnet18'"),
        ("eam", r"teacher: expected one of ema, timm:NAME .*, got 'eam'; did you mean ema\?"),
    ],
)
def test_an_unknown_kind_is_refused_before_the_run(name, said):
    with pytest.raises(InputError, match=said):
        build(PretrainConfig, {"data": "photos", "teacher": name})


@pytest.mark.parametrize("keys", [{"weights": "a.pth"}, {"upsample": 2}, {"projection": True}])
@pytest.mark.parametrize("name", ["ema", "features:folder"])
def test_keys_of_encoders_are_refused(name, keys):
    (key,) = keys
    said = f"teacher.{key}: expected none, since teacher={name} makes no use of it"
    with pytest.raises(InputError, match=said):
        build(PretrainConfig, {"data": "photos", "teacher": {"name": name, **keys}})


@pytest.mark.parametrize("px", [None, student().px])
def test_a_moving_average_may_be_given_the_size_of_the_student(px):
    config = build(PretrainConfig, {"data": "photos", "teacher": {"name": "ema", "px": px}})
    assert create_teacher(config.teacher, student()).px == student().px


@pytest.mark.parametrize("keys", [EmaKeys(px=1), StoredKeys(name="features:folder", px=1)])
def test_another_size_than_that_of_the_student_is_refused(keys):
    with pytest.raises(InputError, match=f"teacher.px is 1, but teacher={keys.name} sees the student's") as caught:
        create_teacher(keys, student())
    assert caught.value.where == "teacher.px"


@pytest.mark.parametrize(("whiten", "whitened"), [(None, True), (True, True), (False, False)])
def test_a_moving_average_is_whitened_unless_told_otherwise(whiten, whitened):
    assert create_teacher(EmaKeys(whiten=whiten), student()).whiten == whitened


@pytest.mark.parametrize(("whiten", "whitened"), [(None, False), (True, True), (False, False)])
def test_an_encoder_is_whitened_only_if_asked(whiten, whitened, weights):
    keys = TimmKeys(name="timm:test_vit", weights=weights("test_vit"), whiten=whiten)
    assert create_teacher(keys, student()).whiten == whitened
