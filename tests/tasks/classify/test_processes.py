"""Fine-tuning in two processes that share the weights, against one process."""

import sys

import forking
import pytest
import torch
from tiny_runs import ENVIRONMENT, TRAINING, content, leaves, words

import fastitpn

pytestmark = pytest.mark.slow

KEYS = {**TRAINING, "steps": 6, "lr": 1e-5, "min_lr": 1e-6, "drop_path": 0, "mixup": 0, "cutmix": 0, "ema": 0.9}
"""Without what depends on how a batch is divided."""


def test_2_processes_x_4_images_learn_what_1_x_8_learns(scenes, tmp_path):
    one = fastitpn.finetune("classify", data=scenes.train, out=tmp_path / "one", scratch=True, **{**KEYS, "batch": 8})
    keys = {"data": scenes.train, "out": tmp_path / "two", "scratch": "true", "devices": 2, "strategy": "fsdp"}
    command = [sys.executable, "-m", "fastitpn.cli", "finetune", "classify", *words(**KEYS, **keys)]
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    done = forking.run(command, env=environment)
    assert done.returncode == 0, done.stderr
    two = fastitpn.Run(tmp_path / "two")
    assert two.metrics["loss"] == pytest.approx(one.metrics["loss"], abs=1e-4)
    assert two.metrics["top1"] == one.metrics["top1"]
    assert (two.directory / "report.html").is_file()
    ours, theirs = (dict(leaves(content(run))) for run in (two, one))
    assert list(ours) == list(theirs)
    weights = [name for name in ours if "weights" in name and isinstance(ours[name], torch.Tensor)]
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in weights) < 1e-6
