"""A teacher on the data's processes gives the same training as one that takes turns with the student."""

import pytest
import timm
import torch
from tiny_runs import TRAINING, assert_same, content

import fastitpn
from fastitpn.pretraining.teachers.timm_teacher import TimmTeacher
from fastitpn.tasks.pretrain.task import PretrainTask
from fastitpn.tasks.pretrain.worker_targets import cores_left_by


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> dict[str, object]:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "resnet.pth"
    torch.save(timm.create_model("resnet18").state_dict(), path)
    return {"name": "timm:resnet18", "weights": path, "standardise": True}


def pretrain(scenes, out, **keys):
    return fastitpn.pretrain(data=scenes.unlabelled, out=out, **{**TRAINING, "steps": 4, "pictures": False, **keys})


@pytest.mark.parametrize("keys", [{}, {"objective": "per_level", "accumulate": 2}], ids=["merged", "per_level"])
def test_who_runs_the_teacher_changes_nothing(scenes, tmp_path, teacher, monkeypatch, keys):
    behind = pretrain(scenes, tmp_path / "behind", teacher=teacher, **keys)
    monkeypatch.setattr(TimmTeacher, "features", refuse_in_this_process(TimmTeacher.features))
    ahead = pretrain(scenes, tmp_path / "ahead", teacher=teacher, workers=2, **keys)
    weights = [content(run)["training"]["weights"] for run in (ahead, behind)]
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)  # the number of threads is another


def test_an_interrupted_run_goes_on_to_the_same_bits(scenes, tmp_path, teacher, monkeypatch):
    keys = {"teacher": teacher, "workers": 1, "checkpoint_every": 1}
    unbroken = pretrain(scenes, tmp_path / "unbroken", **keys)
    steps = []
    after_step = PretrainTask.after_step

    def stop_at_the_third(task: PretrainTask, progress: float) -> None:
        after_step(task, progress)
        steps.append(progress)
        if len(steps) == 3:
            raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(PretrainTask, "after_step", stop_at_the_third)
        with pytest.raises(OSError, match="the machine is gone"):
            pretrain(scenes, tmp_path / "cut", **keys)
    cut = pretrain(scenes, tmp_path / "cut", **keys)
    assert_same(content(cut)["training"], content(unbroken)["training"])


def test_a_teacher_that_follows_the_student_stays_with_it(scenes, tmp_path):
    run = pretrain(scenes, tmp_path / "run", teacher="ema", workers=1)
    alone = pretrain(scenes, tmp_path / "alone", teacher="ema", workers=0)
    assert_same(content(run)["training"], content(alone)["training"])


def test_cores_are_left_to_the_other_processes_and_come_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with cores_left_by(1):
            assert torch.get_num_threads() == 2
        with cores_left_by(5):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def refuse_in_this_process(features):
    """The teacher's method, which fails in the process of the test but for the first trial with a single image."""

    def checked(self, images):
        assert torch.utils.data.get_worker_info() is not None or len(images) == 1
        return features(self, images)

    return checked
