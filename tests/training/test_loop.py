import dataclasses
import json
import logging
import signal

import pytest
import torch
from full_disk import FullDisk
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from training_example import SAMPLES, SETTINGS, CrashError, Crashing, RandomImages, TinyTask, plain_task, train

from fastitpn.errors import InputError, TrainingError
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.run import Run
from fastitpn.training.metric import LOSS, Metric


def final(run):
    return load_checkpoint(run.directory / "checkpoints" / "last.ckpt")


def same(first, second):
    """Bit-identical, in nested dicts and lists."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def without_times(run):
    timed = ("images_per_s", "data_wait_ratio", "memory_mib")
    return [{key: value for key, value in row.items() if key not in timed} for row in run.history]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return train(tmp_path_factory.mktemp("unbroken") / "run")


def with_changes(**changes):
    return dataclasses.replace(SETTINGS, **changes)


def test_a_run_learns_and_writes_everything(unbroken):
    assert unbroken.complete
    content = final(unbroken)
    assert content["task"] == "classify"
    assert content["model"] == {"name": "tiny", "arguments": {}}
    assert content["config"] == unbroken.config
    assert content["step"] == 12
    assert content["metrics"]["top1"] > 0.5
    best = load_checkpoint(unbroken.best_checkpoint)
    assert "training" not in best
    assert (
        unbroken.metrics["best_top1"]
        == best["metrics"]["top1"]
        == max(row["top1"] for row in unbroken.history if row["split"] == "val")
    )
    assert unbroken.metrics["best_step"] == best["step"]
    assert "complete after 12 steps" in (unbroken.directory / "log.txt").read_text()


def test_the_weights_of_a_checkpoint_are_the_average_and_load_into_the_model(unbroken):
    content = final(unbroken)
    assert same(content["weights"], content["training"]["ema"])
    assert not same(content["weights"], content["training"]["weights"])
    TinyTask().trained_model.load_state_dict(content["weights"])


def test_rows_of_the_history(unbroken):
    rows = unbroken.history
    assert [row["step"] for row in rows if row["split"] == "train"] == [2, 4, 6, 8, 10, 12]
    assert [row["step"] for row in rows if row["split"] == "val"] == [3, 6, 9, 12]
    row = rows[-2] if rows[-1]["split"] == "val" else rows[-1]
    assert row.keys() >= {"step", "epoch", "split", "loss", "mean_logit", "gradient_norm", "lr", "images_per_s"}
    assert row["epoch"] == pytest.approx(12 * 6 / SAMPLES)
    assert 0 <= row["data_wait_ratio"] <= 1
    assert unbroken.metrics["train_loss"] == row["loss"]


def test_the_rate_follows_the_schedule(unbroken):
    rates = {row["step"]: row["lr"] for row in unbroken.history if row["split"] == "train"}
    assert rates[2] == SETTINGS.lr
    assert rates[12] < rates[10] < rates[4]


@pytest.mark.parametrize("at", [1, 4, 5, 8, 12])
def test_a_run_that_crashed_ends_in_the_same_bits(tmp_path, unbroken, at):
    with pytest.raises(CrashError):
        train(tmp_path / "run", task=Crashing(at))
    run = train(tmp_path / "run", workers=2)
    mine, theirs = final(run), final(unbroken)
    for content in (mine, theirs):
        del content["config"]
    assert same(mine, theirs)
    assert without_times(run) == without_times(unbroken)
    assert run.metrics == unbroken.metrics


def test_resuming_needs_all_of_the_state(tmp_path, unbroken):
    """The comparison above can fail: without the average of before, another one comes out."""
    with pytest.raises(CrashError):
        train(tmp_path / "run", task=Crashing(9))
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content = load_checkpoint(path)
    content["training"]["ema"] = content["training"]["weights"]
    torch.save(content, path)
    assert not same(final(train(tmp_path / "run"))["weights"], final(unbroken)["weights"])


def test_a_complete_run_is_left_as_it_is(tmp_path):
    train(tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoints/*")}
    run = train(tmp_path / "run", task=Crashing(1))
    assert run.complete
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("checkpoints/*")} == before


class Pressing(TinyTask):
    """Ctrl-C while a step is computed, or while the model is evaluated."""

    def __init__(self, *, step=None, evaluation=None):
        super().__init__()
        self.step, self.evaluation, self.evaluations = step, evaluation, 0

    def forward(self, batch):
        if len(self.progress) + 1 == self.step:
            self.step = None
            signal.raise_signal(signal.SIGINT)
        return super().forward(batch)

    def evaluate(self, batches, model):
        self.evaluations += 1
        if self.evaluations == self.evaluation:
            signal.raise_signal(signal.SIGINT)
        return super().evaluate(batches, model)


STOPS = [({"step": 5}, 5), ({"step": 6}, 6), ({"step": 8}, 8), ({"step": 12}, 12)]
STOPS += [({"evaluation": 2}, 6), ({"evaluation": 4}, 12)]


@pytest.mark.parametrize(("pressed", "saved"), STOPS)
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_continue(tmp_path, unbroken, capsys, pressed, saved):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", task=Pressing(**pressed))
    assert final(train_directory(tmp_path))["step"] == saved
    err = capsys.readouterr().err
    assert f"stopped after step {saved} of 12, which is saved; continue with:" in err
    assert f"fastitpn finetune classify recipe={tmp_path}/run/config.yaml out={tmp_path}/run" in err
    run = train(tmp_path / "run")
    for end, expected in ((final(run), final(unbroken)), (best(run), best(unbroken))):
        assert same(*({**content, "config": 0, "run": 0} for content in (end, expected)))
    assert run.metrics == unbroken.metrics
    assert without_times(run) == without_times(unbroken)


def best(run):
    return load_checkpoint(run.best_checkpoint)


def train_directory(tmp_path):
    return Run(tmp_path / "run")


def test_a_bad_sample_skips_its_steps_and_spoils_nothing(tmp_path, caplog):
    caplog.set_level("WARNING", "fastitpn")
    settings = with_changes(ema=0.5, accumulate=1, steps=12)
    run = train(tmp_path / "run", settings, data=RandomImages(poison={7: float("nan")}), batch=2)
    skipped = [row for row in run.history if row["split"] == "skipped"]
    assert 2 <= len(skipped) <= 4
    assert all(7 in row["indices"] and len(row["indices"]) == 2 for row in skipped)
    assert "loss is nan" in skipped[0]["reason"]
    assert any(f"step {skipped[0]['step']} was skipped: loss is nan" in record.message for record in caplog.records)
    content = final(run)
    for weights in (content["weights"], content["training"]["weights"], content["training"]["task"]):
        assert all(tensor.isfinite().all() for tensor in weights.values())
    done = {int(state["step"]) for state in content["training"]["optimizer"]["state"].values()}
    assert done == {settings.steps - len(skipped)}


def test_a_skipped_step_changes_nothing(tmp_path):
    task = TinyTask()
    before = {name: tensor.clone() for name, tensor in task.trained_model.state_dict().items()}
    settings = with_changes(steps=1, evaluate_every=0)
    run = train(tmp_path / "run", settings, task=task, data=RandomImages({i: float("inf") for i in range(SAMPLES)}))
    assert same(task.trained_model.state_dict(), before)
    assert same(final(run)["weights"], before)
    assert task.progress == []


def test_too_many_bad_steps_in_a_row_end_the_run(tmp_path):
    poison = {index: float("nan") for index in range(SAMPLES)}
    with pytest.raises(TrainingError, match="10 steps in a row") as caught:
        train(tmp_path / "run", data=RandomImages(poison))
    assert "steps 1 to 10" in str(caught.value)


def test_the_count_of_bad_steps_goes_on_after_a_restart(tmp_path):
    poison = {index: float("nan") for index in range(SAMPLES)}
    for _ in range(2):
        with pytest.raises(TrainingError, match="steps 1 to 10"):
            train(tmp_path / "run", data=RandomImages(poison))
    rows = [(row["split"], row["step"]) for row in train_directory(tmp_path).history]
    assert len(rows) == len(set(rows)) == 10 + 4 + 3  # skipped, train and val: nothing twice


class BrokenImages(RandomImages):
    def __getitem__(self, key):
        if key[1] == 3:
            raise InputError("the image is broken", where="photos/3.jpg", fix="delete it")
        return super().__getitem__(key)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_told_as_such(tmp_path, workers):
    with pytest.raises(InputError) as caught:
        train(tmp_path / "run", data=BrokenImages(), workers=workers)
    assert str(caught.value).startswith("the image is broken\n  where:    photos/3.jpg")


def test_without_evaluation_the_end_is_the_best(tmp_path):
    run = train(tmp_path / "run", with_changes(ema=None), evaluated=False)
    best, last = load_checkpoint(run.best_checkpoint), final(run)
    assert best["step"] == 12
    assert same(best["weights"], last["weights"])
    assert same(last["weights"], last["training"]["weights"])
    assert run.metrics.keys() == {"train_loss"}


def test_a_loss_as_best_metric_is_better_when_lower(tmp_path):
    run = train(tmp_path / "run", with_changes(best_metric=LOSS))
    assert run.metrics["best_loss"] == min(row["loss"] for row in run.history if row["split"] == "val")


def test_of_equally_good_ones_the_later_is_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyTask, "evaluate", lambda *_: {"top1": 0.0})
    run = train(tmp_path / "run")
    rows = [row["step"] for row in run.history if row["split"] == "val"]
    assert len(rows) > 1
    assert run.metrics["best_step"] == load_checkpoint(run.best_checkpoint)["step"] == rows[-1]


def test_a_best_metric_that_is_not_measured(tmp_path):
    with pytest.raises(ValueError, match="best_metric 'map' is none of the evaluation's metrics: top1, loss"):
        train(tmp_path / "run", with_changes(best_metric=Metric(name="map", title="mAP")))


def test_other_data_cannot_continue_a_run(tmp_path):
    with pytest.raises(CrashError):
        train(tmp_path / "run", task=Crashing(5))
    with pytest.raises(InputError, match="begun with 10 samples, and now there are 11"):
        train(tmp_path / "run", data=RandomImages(samples=11))
    with pytest.raises(InputError, match="begun with 6 samples a step, and now there are 8"):
        train(tmp_path / "run", batch=4)


def test_a_model_of_other_parts_cannot_continue_a_run(tmp_path, monkeypatch):
    """As of a run that was begun by a version whose head was another."""
    with pytest.raises(CrashError):
        train(tmp_path / "run", task=Crashing(5))
    changed = Crashing(9)
    changed.trained_model.added = torch.nn.Linear(1, 1)
    with pytest.raises(InputError, match=r"other parts than the one .* such as added\.bias"):
        train(tmp_path / "run", task=changed)


def test_parameters_outside_the_trained_model_are_refused(tmp_path):
    task = TinyTask()
    task.extra = torch.nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match=r"must be in the task's trained_model, but these are not: \['extra'\]"):
        train(tmp_path / "run", task=task)


def test_micro_batches_add_up_to_the_batch(tmp_path):
    """2 x 3 and 1 x 6 samples are the same step."""

    def weights(name, accumulate, batch):
        settings = with_changes(steps=3, accumulate=accumulate, ema=None)
        return final(train(tmp_path / name, settings, task=plain_task(), batch=batch))["weights"]

    two, one = weights("two", 2, 3), weights("one", 1, 6)
    assert all(torch.allclose(two[name], one[name], atol=1e-5) for name in one)


def test_compiling_keeps_the_names_of_the_weights(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    task = TinyTask()
    train(tmp_path / "run", with_changes(steps=1, compile=True), task=task)
    assert compiled == [task.trained_model]


def test_a_full_disk_ends_the_run_and_keeps_what_was_saved(tmp_path, monkeypatch):
    class Filling(TinyTask):
        def after_step(self, progress):
            super().after_step(progress)
            if len(self.progress) == 6:
                monkeypatch.setattr("fastitpn.files.PatientFile", FullDisk)

    with pytest.raises(InputError, match="could not be written: the disk is full"):
        train(tmp_path / "run", task=Filling(), evaluated=False)
    assert final(train_directory(tmp_path))["step"] == 4


def test_a_gradient_scaler_lowers_its_scale_until_gradients_fit(tmp_path):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler))
    run = train(tmp_path / "run", with_changes(clip_grad=None, evaluate_every=0), fabric=fabric)
    skipped = [row["step"] for row in run.history if row["split"] == "skipped"]
    assert skipped == list(range(1, len(skipped) + 1))
    assert 0 < len(skipped) < 10
    content = final(run)
    assert content["training"]["precision"]["scale"] == scaler.get_scale() == 2.0 ** (20 - len(skipped))
    assert int(content["training"]["optimizer"]["state"][0]["step"]) == 12 - len(skipped)


def test_lines_of_the_log(unbroken, tmp_path):
    logging.getLogger("fastitpn").info("later")
    lines = (unbroken.directory / "log.txt").read_text().splitlines()
    assert any("begins at step 0 of 12" in line for line in lines)
    assert any("step 2  loss " in line and "images/s" in line for line in lines)
    assert json.loads((unbroken.directory / "metrics.jsonl").read_text().splitlines()[0])["step"] == 2
