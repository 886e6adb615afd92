"""Pre-training from several teachers, as a user runs it."""

import pytest
import timm
import torch
from tiny_runs import TRAINING, assert_same, content

import fastitpn
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.several_teachers import SeveralTeachers
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.spec import SPEC
from fastitpn.tasks.pretrain.task import PretrainTask


@pytest.fixture(scope="module")
def teachers(tmp_path_factory) -> list[dict[str, object]]:
    """A CNN for the merged levels and a ViT for a finer one, with a summary each or not."""
    folder = tmp_path_factory.mktemp("teachers")
    result = []
    for name, more in {"test_resnet": {"summary": 0.5}, "test_vit": {"levels": [8], "loss": "smooth_l1"}}.items():
        torch.manual_seed(0)
        path = folder / f"{name}.pth"
        torch.save(timm.create_model(name).state_dict(), path)
        result.append({"name": f"timm:{name}", "weights": path, **more})
    return result


def pretrain(scenes, out, **keys):
    return fastitpn.pretrain(data=scenes.unlabelled, out=out, **{**TRAINING, "pictures": False, **keys})


def test_the_loss_is_the_weighted_sum_and_each_is_logged(scenes, teachers, tmp_path):
    run = pretrain(scenes, tmp_path / "run", teacher=teachers, pictures=True)
    for row in (row for row in run.history if row["split"] == "train"):
        parts = (row["loss_teacher1_merged"], row["loss_teacher1_summary"], row["loss_teacher2_stride8"])
        assert row["loss"] == pytest.approx(parts[0] + 0.5 * parts[1] + parts[2], abs=1e-5)
    described = content(run)["model"]["arguments"]["teachers"]
    assert [sorted(dims) for dims in described] == [["merged", "summary"], ["stride8"]]
    report = (run.directory / "report.html").read_text()
    assert "test_resnet" in report
    assert "Loss teacher2 stride8" in report
    log = (run.directory / "log.txt").read_text()
    assert "statistics of the teachers' features found on 12 images" in log
    about = PretrainDescription.from_dict(content(run))
    assert SPEC.create(about).load_state_dict(content(run)["weights"])  # the student is built again from its checkpoint


def test_an_interrupted_run_goes_on_to_the_same_bits_with_its_statistics(scenes, teachers, tmp_path, monkeypatch):
    keys = {"teacher": teachers, "checkpoint_every": 1, "workers": 1}
    unbroken = pretrain(scenes, tmp_path / "unbroken", **keys)
    steps = []

    after_step = PretrainTask.after_step

    def stop_at_the_second(task: PretrainTask, progress: float) -> None:
        after_step(task, progress)
        steps.append(progress)
        if len(steps) == 2:
            raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(PretrainTask, "after_step", stop_at_the_second)
        with pytest.raises(OSError, match="the machine is gone"):
            pretrain(scenes, tmp_path / "cut", **keys)
    monkeypatch.setattr(SeveralTeachers, "settle", lambda *given: pytest.fail("they are in the checkpoint"))
    cut = pretrain(scenes, tmp_path / "cut", **keys)
    assert_same(content(cut)["training"], content(unbroken)["training"])


def test_a_moving_average_may_be_one_of_them(scenes, teachers, tmp_path):
    run = pretrain(scenes, tmp_path / "run", teacher=[teachers[0], {"name": "ema", "levels": [4, 16]}])
    last = run.history[-1]
    assert {"loss_teacher2_stride4", "loss_teacher2_stride16", "target_rank"} <= set(last)
    kept = content(run)["training"]["task"]["teacher"]
    assert any(name.startswith("teachers.1.trunk.") for name in kept)
    assert "balances.1.features.mean" in kept


def test_stored_features_of_several_teach_as_the_teachers_do(scenes, teachers, tmp_path):
    names = "+".join(str(teacher["name"]) for teacher in teachers)
    weights = tuple(teacher["weights"] for teacher in teachers)
    stored = {"name": names, "weights": weights, "px": (128, 64)}
    folder = fastitpn.cache_features(data=scenes.unlabelled, teacher=stored, out=tmp_path / "features", device="cpu")
    inside = "+".join(f"features:{folder / name}" for name in ("test_resnet", "test_vit"))
    run = pretrain(scenes, tmp_path / "run", teacher={"name": inside, "levels": ("merged", "8")})
    assert {"loss_teacher1_merged", "loss_teacher2_stride8"} <= set(run.history[-1])
    with pytest.raises(InputError, match="there are no stored features here") as caught:
        pretrain(scenes, tmp_path / "no", teacher=f"features:{folder}")
    assert caught.value.fix == f"teacher={inside}"
    with pytest.raises(InputError, match=r"features:.*test_vit has no summary of an image"):
        pretrain(scenes, tmp_path / "no", teacher={"name": inside, "summary": (0, 1)})
