"""Runs that end before their last step, and runs that are made longer."""

import dataclasses

import pytest
from tiny_runs import assert_same, content, figures
from training_example import SETTINGS, CrashError, Crashing, TinyTask, train

from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint

SCORES = {3: 50.0, 6: 60.0, 9: 60.0, 12: 55.0}
PATIENT = dataclasses.replace(SETTINGS, steps=24, patience=2)


class Scored(TinyTask):
    """Its validations have known values."""

    def evaluate(self, batches, model):
        return {"top1": SCORES[round(24 * self.progress[-1])], "loss": 1.0}


def trained(run):
    """All that a checkpoint has of a training, whatever settings it was begun with."""
    return {key: value for key, value in content(run).items() if key not in ("config", "run")}


@pytest.fixture(scope="module")
def ended_early(tmp_path_factory):
    return train(tmp_path_factory.mktemp("early") / "run", PATIENT, task=Scored())


def test_patience_ends_a_run_after_validations_without_a_better_value(ended_early):
    run = ended_early
    assert run.complete
    assert [row["step"] for row in run.history if row["split"] == "val"] == [3, 6, 9, 12]
    assert content(run)["step"] == 12
    assert load_checkpoint(run.best_checkpoint)["step"] == 9  # of equals the later one, which has learnt more
    assert run.metrics["best_top1"] == 60
    line = "ended early, after step 12 of 24: no better Top-1 accuracy in 2 validations (patience=2)"
    assert line in (run.directory / "log.txt").read_text()


@pytest.mark.parametrize("at", [5, 11])
def test_a_run_that_crashed_is_as_patient_as_one_that_did_not(tmp_path, ended_early, at):
    class CrashingScored(Crashing, Scored):
        pass

    with pytest.raises(CrashError):
        train(tmp_path / "run", PATIENT, task=CrashingScored(at))
    run = train(tmp_path / "run", PATIENT, task=Scored())
    assert_same(trained(run), trained(ended_early))
    assert figures(run) == figures(ended_early)


def test_max_minutes_saves_measures_and_goes_on_to_the_same_bits(tmp_path, capsys):
    limited = dataclasses.replace(SETTINGS, max_minutes=1e-9)
    run = train(tmp_path / "run", limited)
    assert not run.complete
    assert content(run)["step"] == 1
    assert load_checkpoint(run.best_checkpoint)["step"] == 1
    err = capsys.readouterr().err
    assert "stopped after step 1 of 12, which is saved (max_minutes=1e-09); continue with:" in err
    assert "evaluation after step 1: top1" in err
    assert [row for row in run.history if row["split"] == "val"] == []  # a run without a limit has none there either
    train(tmp_path / "run", limited)
    run = train(tmp_path / "run")
    unbroken = train(tmp_path / "unbroken")
    assert_same(trained(run), trained(unbroken))
    assert figures(run) == figures(unbroken)
    assert_same(load_checkpoint(run.best_checkpoint)["weights"], load_checkpoint(unbroken.best_checkpoint)["weights"])


def test_time_that_is_up_in_the_last_step_ends_the_run(tmp_path):
    assert train(tmp_path / "run", dataclasses.replace(SETTINGS, steps=1, max_minutes=1e-9)).complete


def test_a_finished_run_with_a_constant_rate_grows_to_the_bits_of_a_longer_one(tmp_path, capsys):
    short = dataclasses.replace(SETTINGS, steps=6, schedule="constant")
    longer = dataclasses.replace(short, steps=12)
    assert train(tmp_path / "run", short).complete
    run = train(tmp_path / "run", longer)
    assert "the run goes on with steps=12 (was 6)" in capsys.readouterr().out
    assert (run.complete, run.config["steps"], content(run)["step"]) == (True, 12, 12)
    assert_same(trained(run), trained(train(tmp_path / "unbroken", longer)))


def test_another_schedule_says_why_a_run_cannot_grow(tmp_path):
    train(tmp_path / "run", dataclasses.replace(SETTINGS, steps=1))
    with pytest.raises(InputError, match=r"steps: 1 there, 12 now \(schedule=cosine spreads the learning rate"):
        train(tmp_path / "run")
