"""Runs that are killed from outside, as a scheduler or a power cut would."""

import contextlib
import os
import signal
import subprocess

import forking
import pytest
import torch
from tiny_runs import figures
from training_example import RandomImages, TinyTask, program, train, wait_for_rows

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


class Asked(TinyTask):
    """Sends itself a signal when an evaluation begins."""

    def __init__(self, at: int):
        super().__init__()
        self.at = at

    def evaluate(self, batches, model):
        self.at -= 1
        if self.at == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return super().evaluate(batches, model)


def test_a_signal_at_the_last_evaluation_changes_no_figure(tmp_path, unbroken):
    with contextlib.suppress(KeyboardInterrupt):  # it may finish what it is about to finish
        train(tmp_path / "run", task=(task := Asked(at=4)))
    assert task.at == 0
    run = train(tmp_path / "run")
    assert run.metrics == unbroken.metrics
    assert figures(run) == figures(unbroken)
