"""Several teachers at once: what each gives, and what a command may ask of them."""

import pytest
import torch
import torch.nn.functional as F
from published import student

from fastitpn.config.parse import build, parse
from fastitpn.errors import InputError
from fastitpn.pretraining.model import create_pretraining_model
from fastitpn.pretraining.teachers.keys import create_teacher
from fastitpn.pretraining.teachers.several import SeveralKeys
from fastitpn.pretraining.teachers.several_teachers import SeveralTeachers
from fastitpn.tasks.pretrain.config import PretrainConfig

TWO = "timm:resnet18+timm:test_vit"


def several(files_of, **keys) -> SeveralTeachers:
    files = (files_of("resnet18"), files_of("test_vit"))
    teacher = create_teacher(SeveralKeys(**{"name": TWO, "weights": files, **keys}), student(px=64))
    assert isinstance(teacher, SeveralTeachers)
    return teacher


def images_of(teacher: SeveralTeachers, count: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {key: torch.randn(count, 3, view.px, view.px) for key, view in teacher.views()}


def test_each_sees_its_own_size_and_supervises_its_levels(weights):
    teacher = several(weights, levels=("merged+8", "16"), summary=(0.5, 0))
    views = {key: view.px for key, view in teacher.views()}
    assert views == {"teacher_image": 128, "teacher_image_2": 64}
    assert teacher.predictions() == [{"merged": 512, "stride8": 512, "summary": 512}, {"stride16": 64}]
    assert teacher.weights() == {
        "teacher1_merged": 0.5,
        "teacher1_stride8": 0.5,
        "teacher1_summary": 0.5,
        "teacher2_stride16": 1.0,
    }
    images = images_of(teacher)
    teacher.settle(lambda: [images])
    targets = teacher.targets_of(images, tuple(teacher.weights()))
    assert {name: tuple(target.shape) for name, target in targets.items()} == {
        "teacher1_merged": (3, 16, 1, 512),
        "teacher1_stride8": (3, 16, 4, 512),
        "teacher1_summary": (3, 1, 1, 512),
        "teacher2_stride16": (3, 16, 1, 64),
    }


def test_without_balance_targets_are_those_of_each_alone(weights):
    teacher = several(weights, balance="off", summary=(1, 0))
    images = images_of(teacher)
    targets = teacher.targets_of(images, ("teacher1_merged", "teacher2_merged", "teacher1_summary"))
    for number, (image, member) in enumerate(zip(images.values(), teacher.members, strict=True), 1):
        torch.testing.assert_close(targets[f"teacher{number}_merged"], member.teacher.targets(image)["merged"])
    pooled = teacher.members[0].teacher.encoder(images["teacher_image"])
    torch.testing.assert_close(targets["teacher1_summary"][:, 0, 0], F.layer_norm(pooled, (512,)))


def test_balanced_targets_have_mean_zero_and_variance_one(weights):
    teacher = several(weights)
    images = images_of(teacher, count=8)
    assert not teacher.settled
    teacher.settle(lambda: [{key: part[:4] for key, part in images.items()}, {key: x[4:] for key, x in images.items()}])
    assert teacher.settled
    for target in teacher.targets_of(images, ("teacher1_merged", "teacher2_merged")).values():
        vectors = target.flatten(0, 2)
        assert vectors.mean(0).abs().max() < 1e-3
        assert vectors.var(0, correction=0).mean() == pytest.approx(1, abs=1e-3)


def test_teachers_that_see_the_same_share_their_view(weights):
    files = (weights("test_vit"), weights("test_vit2"))
    teacher = several(weights, name="timm:test_vit+timm:test_vit2", weights=files)
    assert [key for key, _ in teacher.views()] == ["teacher_image"]


def test_statistics_of_other_teachers_are_refused(weights):
    teacher, other = several(weights), several(weights, balance="hadamard")
    teacher.load_kept_state({name: value + 1 for name, value in teacher.kept_state().items()})
    assert teacher.balances["1"]["features"].mean[0] == 1
    with pytest.raises(InputError, match="statistics of other teachers"):
        teacher.load_kept_state(other.kept_state())


def test_a_summary_of_features_without_one_is_refused(weights):
    with pytest.raises(InputError, match="teacher=ema has no summary") as caught:
        several(weights, name="ema+timm:resnet18", weights=(None, weights("resnet18")), summary=(1, 1))
    assert caught.value.fix == "teacher.summary=0,1"


def test_the_student_predicts_for_each():
    teachers = [{"merged": 6, "summary": 7}, {"stride4": 5, "stride8": 5}]
    keys = {"img_size": 32, "teacher_dim": 6, "teachers": teachers}
    model = create_pretraining_model("fastitpn_nano", **keys, mlp_predictor=True).eval()
    assert model.names == ("teacher1_merged", "teacher1_summary", "teacher2_stride4", "teacher2_stride8")
    masked = torch.tensor([[True, False, False, False]])
    shapes = {name: tuple(x.shape) for name, x in model(torch.randn(1, 3, 32, 32), masked).items()}
    assert shapes == {
        "teacher1_merged": (1, 4, 1, 6),
        "teacher1_summary": (1, 1, 1, 7),
        "teacher2_stride4": (1, 4, 16, 5),
        "teacher2_stride8": (1, 4, 4, 5),
    }
    assert model.shown == "teacher1_merged"


def test_a_recipe_may_list_them_one_by_one(tmp_path):
    recipe = tmp_path / "a.yaml"
    recipe.write_text(
        "data: photos\nteacher:\n  - name: timm:A\n    levels: merged\n    px: 196\n"
        "  - {name: timm:B, levels: [8, 4], weight: 0.5}\n"
    )
    teacher = parse(PretrainConfig, [f"recipe={recipe}"]).teacher
    assert isinstance(teacher, SeveralKeys)
    assert (teacher.names, teacher.levels) == (["timm:A", "timm:B"], ("merged", "8+4"))
    assert (teacher.px, teacher.weight) == ((196, None), (1.0, 0.5))
    one = build(PretrainConfig, {"data": "photos", "teacher": [{"name": "timm:A", "upsample": 2}]}).teacher
    assert (one.name, one.upsample) == ("timm:A", 2)


def test_a_plus_in_a_folder_joins_nothing():
    assert parse(PretrainConfig, ["data=x", "teacher=features:a+b/timm"]).teacher.name == "features:a+b/timm"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("teacher=timm:A+timm:A", "teacher.name: expected each teacher once, got timm:A twice"),
        ("teacher=timm:A+timm:B teacher.px=64", "teacher.px: expected 2 values, one for each teacher, got 1"),
        ("teacher=timm:A+ema teacher.levels=8,32", "teacher.levels: expected merged, 4, 8 or 16, .* got '32'"),
        ("teacher=timm:A+ema teacher.upsample=1,2", "teacher.upsample: expected none for teacher=ema"),
        ("teacher=foo:A+ema", "teacher.name: expected each to be ema, timm:NAME or features:FOLDER, got foo:A"),
        ("teacher=pixel+ema", "teacher.name: expected each to be ema, timm:NAME or features:FOLDER, got pixel"),
        ("teacher=timm:A+ema teacher.levels=4+8+4,8", r"teacher.levels: expected each level once, got '4\+8\+4'"),
        ("teacher=several", "teacher.name: expected several teachers joined by +"),
        ("teacher=timm:A+ema objective=trunk", "objective: expected merged with several teachers"),
        ("teacher=timm:A+ema auxiliary=1", "auxiliary: expected 0.0 with several teachers"),
        ("teacher=timm:A+ema teacher.weight=0,0", "teacher.weight: expected one above 0"),
    ],
)
def test_what_does_not_fit_is_said_before_the_first_step(words, problem):
    with pytest.raises(InputError, match=problem):
        parse(PretrainConfig, ["data=photos", *words.split()])
