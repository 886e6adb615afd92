"""Detection in two processes on one machine, over gloo, with batches in which nothing is to be found."""

import json
import shutil
import subprocess
import sys

import pytest
from tiny_runs import ENVIRONMENT, TRAINING, words

from fastitpn.engine.run import Run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("keys", [{"detector": "mask_rcnn"}, {"detector": "dino", "queries": 20, "layers": 1}])
def test_two_processes_train(detect_scenes, tmp_path, keys):
    data = shutil.copytree(detect_scenes, tmp_path / "data")
    file = data / "annotations_train.json"
    content = json.loads(file.read_text())
    content["annotations"] = [thing for thing in content["annotations"] if thing["image_id"] == 1]
    file.write_text(json.dumps(content))
    keys = {**TRAINING, **keys, "data": data, "out": tmp_path / "run", "devices": 2, "batch": 1, "scratch": "true"}
    command = [sys.executable, "-m", "fastitpn.cli", "finetune", "detect", *words(**keys)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "run")
    assert run.complete
    assert [row["step"] for row in run.history if row["split"] == "train"] == [1, 2, 3]
