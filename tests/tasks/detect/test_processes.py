"""Detection in two processes on one machine, over gloo: whole and in parts, and where nothing is to be found."""

import json
import shutil
import sys

import forking
import pytest
from tiny_runs import ENVIRONMENT, SMALL_HEADS, TRAINING, content, leaves, small_heads, words

import fastitpn
from fastitpn.runs.run import Run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "keys",
    [{"detector": "mask_rcnn"}, {"detector": "dino", "detector.queries": 20, "detector.layers": 1}],
    ids=lambda keys: keys["detector"],
)
def test_two_processes_leave_what_one_leaves(few_scenes, pretrained_run, tmp_path, keys):
    """Losses are alike and no more: each process draws its own regions and noise, and has its own number of objects."""
    shared = {**TRAINING, **keys, "data": few_scenes, "weights": pretrained_run.directory, "steps": 2, "ema": 0.9}
    shared |= {"lr": 1e-5, "drop_path": 0}
    with small_heads():
        one = fastitpn.finetune("detect", **shared, out=tmp_path / "one")
    two = {**shared, "out": tmp_path / "two", "devices": 2, "batch": 2, "strategy": "fsdp"}
    command = [sys.executable, "-m", "fastitpn.cli", "finetune", "detect", *words(**two)]
    done = forking.run(command, env={**ENVIRONMENT, SMALL_HEADS: "1"})
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "two")
    assert run.complete
    assert run.metrics.keys() == one.metrics.keys()
    ours, theirs = (dict(leaves(content(each))) for each in (run, one))
    assert list(ours) == list(theirs)
    weights = [name for name in ours if name.startswith("/weights/")]
    assert len(weights) > 100
    for name in weights:
        assert float((ours[name].double() - theirs[name].double()).abs().max()) < 1e-3, name
    losses = [[row["loss"] for row in each.history if row["split"] == "train"] for each in (run, one)]
    assert losses[0] == pytest.approx(losses[1], rel=0.5)


@pytest.mark.parametrize(
    "keys", [{"detector": "mask_rcnn"}, {"detector": "dino", "detector.queries": 20, "detector.layers": 1}]
)
def test_two_processes_train(few_scenes, tmp_path, keys):
    data = shutil.copytree(few_scenes, tmp_path / "data")
    file = data / "annotations_train.json"
    content = json.loads(file.read_text())
    content["annotations"] = [label for label in content["annotations"] if label["image_id"] == 1]
    file.write_text(json.dumps(content))
    keys = {**TRAINING, **keys, "data": data, "out": tmp_path / "run", "devices": 2, "batch": 1, "scratch": "true"}
    command = [sys.executable, "-m", "fastitpn.cli", "finetune", "detect", *words(**keys)]
    done = forking.run(command, timeout=200, env={**ENVIRONMENT, SMALL_HEADS: "1"})
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "run")
    assert run.complete
    assert [row["step"] for row in run.history if row["split"] == "train"] == [1, 2, 3]
