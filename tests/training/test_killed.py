"""Runs that are killed from outside, as a scheduler or a power cut would."""

import os
import signal
import subprocess

import forking
import pytest
import torch
from training_example import RandomImages, program, train, wait_for_rows

from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.run import Run

pytestmark = pytest.mark.slow


def start(out, **options):
    return forking.Popen(**program(out, **options), stderr=subprocess.PIPE, start_new_session=True)


def weights(run):
    return load_checkpoint(run.directory / "checkpoints" / "last.ckpt")["training"]["weights"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return train(tmp_path_factory.mktemp("unbroken") / "run")


@pytest.mark.parametrize(
    ("number", "whole_group", "code"),
    [(signal.SIGTERM, False, 130), (signal.SIGINT, True, 130), (signal.SIGTERM, True, 130), (signal.SIGKILL, True, -9)],
)
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, unbroken, number, whole_group, code):
    out = tmp_path / "run"
    process = start(out, workers=2, delay_s=0.03)
    wait_for_rows(out, 4, process)
    if whole_group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert not Run(out).complete
    run = train(out, data=RandomImages(), workers=2)
    theirs = weights(unbroken)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in weights(run).items())
    assert [row["step"] for row in run.history] == [row["step"] for row in unbroken.history]
