"""Masked feature modelling as a task."""

import pytest
import torch
import torch.nn.functional as F
from published import pretraining_model, randn, small_pretraining_model, student

from fastitpn.pretraining.gram import GramAnchor, gram_loss, patch_agreement
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
        assert set(make()(batch)) == {"loss", "patch_agreement"}

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


class TestPatches:
    """Which patches of an image are alike: the Gram term, and the warning."""

    def test_the_agreement_is_that_of_tokens_and_targets(self, batch):
        task = make()
        with torch.no_grad():
            tokens = task.backbone.encode(batch["image"], MASKED, task.trained_model.mask_token)[2]
            expected = patch_agreement(tokens, task.teacher(batch["teacher_image"]))
            torch.testing.assert_close(task(batch)["patch_agreement"], expected)

    @torch.no_grad()
    def test_the_term_is_added_with_its_weight(self, batch):
        plain, task = make(), make(gram_weight=2.0)
        tokens = task.backbone.encode(batch["image"], MASKED, task.trained_model.mask_token)[2]
        figures = task(batch)
        torch.testing.assert_close(figures["loss_gram"], gram_loss(tokens, task.teacher(batch["teacher_image"])))
        torch.testing.assert_close(figures["loss"], plain(batch)["loss"] + 2 * figures["loss_gram"])

    @torch.no_grad()
    def test_a_snapshot_is_taken_every_so_many_steps_and_kept(self, batch):
        model = pretraining_model()
        task = make(model, gram_weight=1.0, gram_anchor=GramAnchor(model.backbone, every=2))
        start = model.backbone.pos_embed.clone()
        for step, known in ((1, False), (2, True), (3, True)):
            assert float(task(batch)["loss_gram"]) == 0 or step == 3
            model.backbone.pos_embed.add_(1)
            task.after_step(step / 4)
            assert task.gram_anchor.known == known
        torch.testing.assert_close(task.gram_anchor.trunk.pos_embed, start + 2)
        assert float(task(batch)["loss_gram"]) > 0
        again = make(
            pretraining_model(), gram_weight=1.0, gram_anchor=GramAnchor(pretraining_model().backbone, every=2)
        )
        again.load_extra_state(task.extra_state())
        assert (again.gram_anchor.steps, again.gram_anchor.known) == (3, True)
        assert torch.equal(again.gram_anchor.trunk.pos_embed, task.gram_anchor.trunk.pos_embed)

    def test_it_is_warned_of_once_below_four_fifths_of_the_best(self):
        task = make()
        assert task.warning({"patch_agreement": 0.9}) is None  # of random weights: it does not count
        task.after_step(0.2)
        assert [task.warning({"patch_agreement": value}) for value in (0.4, 0.5, 0.4)] == [None] * 3
        fresh = make()
        fresh.load_extra_state(task.extra_state())
        for resumed in (task, fresh):
            resumed.after_step(0.3)
            text = resumed.warning({"patch_agreement": 0.39})
            assert "agrees with the teacher's by 0.39 (correlation), after 0.50" in text
            assert "gram.weight=1" in text
            assert resumed.warning({"patch_agreement": 0.1}) is None
