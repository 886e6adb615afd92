"""Fine-tuning for segmentation in two processes, against one process."""

import sys

import forking
import pytest
from tiny_runs import ENVIRONMENT, SMALL_HEADS, TRAINING, content, leaves, small_heads, words

import fastitpn

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("head", "strategy"), [("upernet", "ddp"), ("mask2former", "fsdp")])
def test_2_processes_x_2_images_learn_nearly_what_1_x_4_learns(
    segment_scenes, pretrained_run, tmp_path, head, strategy
):
    """Batch norms, points drawn by each process, and means over its own pixels make it a little different."""
    shared = {**TRAINING, "steps": 2, "lr": 1e-5, "drop_path": 0, "head": head, "head.width": 32, "px": 64}
    shared |= {"data": segment_scenes, "weights": pretrained_run.directory}
    with small_heads():
        one = fastitpn.finetune("segment", **shared, out=tmp_path / "one")
    keys = {**shared, "out": tmp_path / "two", "devices": 2, "batch": 2, "strategy": strategy}
    command = [sys.executable, "-m", "fastitpn.cli", "finetune", "segment", *words(**keys)]
    done = forking.run(command, env={**ENVIRONMENT, SMALL_HEADS: "1"})
    assert done.returncode == 0, done.stderr
    two = fastitpn.Run(tmp_path / "two")
    assert two.complete
    assert two.metrics.keys() == one.metrics.keys()
    ours, theirs = (dict(leaves(content(run))) for run in (two, one))
    assert list(ours) == list(theirs)
    learnt = [name for name in ours if name.startswith("/weights/") and "running" not in name and "num_b" not in name]
    assert max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in learnt) < 1e-3
    losses = [[row["loss"] for row in run.history if row["split"] == "train"] for run in (two, one)]
    assert losses[0] == pytest.approx(losses[1], rel=0.3)
