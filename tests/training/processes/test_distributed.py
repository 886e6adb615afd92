"""Two processes on one machine, over gloo."""

import os
import signal
import subprocess

import forking
import pytest
import torch
from tiny_runs import assert_same, leaves
from training_example import plain_task, program, train, wait_for_rows

from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.run import Run

pytestmark = pytest.mark.slow
both = pytest.mark.parametrize("strategy", ["ddp", "fsdp"])


def train_in_two_processes(out, **options):
    return forking.run(**program(out, devices=2, **options))


@both
def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(tmp_path, strategy):
    done = train_in_two_processes(tmp_path / "two", batch=3, plain=1, strategy=strategy)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("step 12/12") == 1  # only the first process reports
    two, one = Run(tmp_path / "two"), train(tmp_path / "one", task=plain_task(), batch=6)
    assert [(row["step"], row["split"]) for row in two.history] == [(row["step"], row["split"]) for row in one.history]
    for row, other in zip(two.history, one.history, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], abs=1e-4)
        assert row["epoch"] == other["epoch"]
    ours, theirs = (dict(leaves(load_checkpoint(run.last_checkpoint))) for run in (two, one))
    assert list(ours) == list(theirs)  # a checkpoint is the same whoever wrote it
    for name, value in ours.items():
        if isinstance(value, torch.Tensor):
            assert torch.allclose(value, theirs[name], atol=1e-4), name


def test_a_run_that_is_stopped_goes_on_sharded_to_the_same_bits(tmp_path):
    """With running statistics and dropout, a moving average, accumulation and a teacher."""
    assert train_in_two_processes(tmp_path / "whole", strategy="fsdp").returncode == 0
    out = tmp_path / "run"
    arguments = program(out, devices=2, strategy="fsdp", delay_s=0.05)
    process = forking.Popen(**arguments, stderr=subprocess.PIPE, start_new_session=True)
    wait_for_rows(out, 3, process)
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    stopped = load_checkpoint(Run(out).last_checkpoint)["step"]
    assert 0 < stopped < 12
    assert train_in_two_processes(out, strategy="fsdp").returncode == 0
    ours, theirs = (load_checkpoint(Run(folder).last_checkpoint) for folder in (out, tmp_path / "whole"))
    assert_same(ours["training"], theirs["training"])


@both
def test_a_bad_sample_of_one_process_skips_the_step_of_both(tmp_path, strategy):
    done = train_in_two_processes(tmp_path / "two", batch=1, poison=7, strategy=strategy)
    assert done.returncode == 0, done.stderr
    rows = [row for row in Run(tmp_path / "two").history if row["split"] == "skipped"]
    assert rows
    assert all(7 in row["indices"] and len(row["indices"]) == 4 for row in rows)
    weights = load_checkpoint(Run(tmp_path / "two").last_checkpoint)["weights"]
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_every_process_hears_that_the_folder_is_taken(tmp_path):
    (tmp_path / "thesis.tex").touch()
    done = train_in_two_processes(tmp_path)
    assert done.returncode != 0
    assert done.stderr.count(f"{InputError.__qualname__}: the folder is not empty, and no run directory") == 2
