"""Masked feature modelling as a task."""

import pytest
import torch
import torch.nn.functional as F
from published import pretraining_model, randn, small_pretraining_model, student

from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.pretraining.teachers.keys import create_teacher
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.task import PretrainTask

ABOUT = PretrainDescription(model={}, mean=(0.5,) * 3, std=(0.5,) * 3, px=64, teacher={})
MASKED = torch.rand(2, 16, generator=torch.Generator().manual_seed(0)) < 0.4


class Fixed(Teacher):
    """Gives the mean colour of each patch, over and over."""

    dim, px = 24, 64

    def features(self, images):
        return F.avg_pool2d(images, 16).flatten(2).transpose(1, 2).repeat(1, 1, 8)


def make(model=None, **keys) -> PretrainTask:
    return PretrainTask(pretraining_model() if model is None else model, Fixed(), ABOUT, **keys).eval()


@pytest.fixture
def batch():
    return {"image": randn(2, 3, 64, 64), "teacher_image": randn(2, 3, 64, 64, seed=1), "masked": MASKED}


@pytest.mark.parametrize("loss_on", ["masked", "all"])
@pytest.mark.parametrize("loss", ["cosine", "smooth_l1"])
def test_the_loss_compares_predictions_with_the_teachers_view(batch, loss, loss_on):
    task = make(loss=loss, loss_on=loss_on)
    with torch.no_grad():
        value = task(batch)["loss"]
        predictions = task.trained_model(batch["image"], MASKED)
        targets = task.teacher(batch["teacher_image"])
    if loss_on == "masked":
        predictions, targets = predictions[MASKED], targets[MASKED]
    expected = (
        -F.cosine_similarity(predictions, targets, dim=-1).mean()
        if loss == "cosine"
        else F.smooth_l1_loss(predictions, targets)
    )
    torch.testing.assert_close(value, expected)


@torch.no_grad()
def test_hidden_patches_are_hidden_from_the_student_and_not_from_the_teacher(batch):
    task = make()
    hidden = MASKED.view(2, 1, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
    noise = randn(2, 3, 64, 64, seed=2)
    before = task(batch)["loss"]
    assert torch.equal(task({**batch, "image": torch.where(hidden, noise, batch["image"])})["loss"], before)
    visible = task({**batch, "image": torch.where(hidden, batch["image"], noise)})["loss"]
    teacher = task({**batch, "teacher_image": torch.where(hidden, noise, batch["teacher_image"])})["loss"]
    assert visible != before
    assert teacher != before


def test_the_mask_token_is_decayed_and_the_positions_are_not():
    assert "mask_token" not in PretrainTask.no_decay
    assert "pos_embed" in PretrainTask.no_decay


def test_a_moving_average_follows_after_the_step():
    model = small_pretraining_model(teacher_dim=64)
    teacher = create_teacher(EmaKeys(momentum_start=0.5, momentum=0.5), student(model.backbone))
    task = PretrainTask(model, teacher, ABOUT)
    before = teacher.trunk.pos_embed.clone()
    with torch.no_grad():
        model.backbone.pos_embed.add_(1)
    task.after_step(1.0)
    torch.testing.assert_close(teacher.trunk.pos_embed, before + 0.5)
    assert set(task.extra_state()["teacher"]) == set(teacher.state_dict())


def test_a_fixed_teacher_is_not_stored():
    assert make().extra_state() == {}


def test_what_there_is_to_see(batch):
    seen = make().look(batch)
    shapes = {name: tuple(value.shape) for name, value in seen.items()}
    levels = {"level4": (2, 16, 16, 32), "level8": (2, 16, 4, 32), "level16": (2, 16, 1, 32)}
    assert shapes == {"target": (2, 16, 24), "prediction": (2, 16, 24), **levels}
    assert not any(value.requires_grad for value in seen.values())
    with torch.no_grad():
        assert torch.equal(seen["prediction"], make().trained_model(batch["image"], MASKED))


class TestCollapse:
    """The effective rank of a moving average's targets."""

    def task(self) -> PretrainTask:
        model = small_pretraining_model(teacher_dim=64)
        teacher = create_teacher(EmaKeys(), student(model.backbone))
        return PretrainTask(model, teacher, ABOUT)

    def test_it_is_logged_before_whitening(self, batch):
        task = self.task()
        assert task.teacher.whiten
        whitened = float(task(batch)["target_rank"])
        task.teacher.whiten = False
        assert float(task(batch)["target_rank"]) == pytest.approx(whitened)
        assert 1 <= whitened <= 64

    def test_a_fixed_teacher_has_none(self, batch):
        assert set(make()(batch)) == {"loss"}

    def test_it_is_warned_of_once_below_half_of_the_start(self):
        task = self.task()
        assert task.warning({"loss": 1.0}) is None
        assert [task.warning({"target_rank": rank}) for rank in (20.0, 25.0, 10.0)] == [None] * 3
        text = task.warning({"target_rank": 9.9})
        assert "effective rank is 9.9, and was 20.0 at the start" in text
        assert "teacher.whiten=true" in text
        assert task.warning({"target_rank": 2.0}) is None

    def test_what_was_the_start_outlives_an_interruption(self):
        task, fresh = self.task(), self.task()
        task.warning({"target_rank": 20.0})
        fresh.load_extra_state(task.extra_state())
        assert fresh.warning({"target_rank": 9.0}) is not None
        again = self.task()
        again.load_extra_state(fresh.extra_state())
        assert again.warning({"target_rank": 2.0}) is None
