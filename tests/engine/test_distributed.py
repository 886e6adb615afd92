"""Two processes on one machine, over gloo."""

import subprocess

import pytest
import torch
from engine_example import plain_task, program, train

from fastitpn.engine.checkpoint import load_checkpoint
from fastitpn.engine.run import Run
from fastitpn.errors import InputError

pytestmark = pytest.mark.slow


def train_in_two_processes(out, **options):
    return subprocess.run(**program(out, devices=2, **options), capture_output=True, timeout=120)


def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(tmp_path):
    done = train_in_two_processes(tmp_path / "two", batch=3, plain=1)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("step 12/12") == 1  # only the first process reports
    two, one = Run(tmp_path / "two"), train(tmp_path / "one", task=plain_task(), batch=6)
    assert [(row["step"], row["split"]) for row in two.history] == [(row["step"], row["split"]) for row in one.history]
    for row, other in zip(two.history, one.history, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], abs=1e-4)
        assert row["epoch"] == other["epoch"]
    weights, others = (load_checkpoint(run.last_checkpoint)["weights"] for run in (two, one))
    assert all(torch.allclose(weights[name], others[name], atol=1e-4) for name in weights)


def test_a_bad_sample_of_one_process_skips_the_step_of_both(tmp_path):
    done = train_in_two_processes(tmp_path / "two", batch=1, poison=7)
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
