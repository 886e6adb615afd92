"""Curves for TensorBoard."""

import sys

import pytest
from tiny_runs import TRAINING

import fastitpn
from fastitpn.errors import InputError
from fastitpn.runs.tensorboard import TensorBoardLog

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder)).Reload()
    return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_rows_become_curves_and_a_resumed_run_replaces_what_came_after(tmp_path):
    pytest.importorskip("tensorboard")
    log = TensorBoardLog(tmp_path, step=0)
    for step in range(1, 5):
        log.write({"step": step, "split": "train", "loss": float(step), "reason": "text", "nan": float("nan")})
    log.close()
    log = TensorBoardLog(tmp_path, step=2)
    log.write({"step": 3, "split": "train", "loss": 30.0})
    log.close()
    assert scalars(tmp_path) == {"train/loss": [(1, 1.0), (2, 2.0), (3, 30.0)]}


def test_a_run_writes_them_when_asked(scenes, tmp_path):
    pytest.importorskip("tensorboard")
    keys = {**TRAINING, "pictures": False, "tensorboard": True}
    run = fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path / "run", **keys)
    losses = scalars(run.directory / "tensorboard")["train/loss"]
    assert [step for step, _ in losses] == [1, 2, 3]
    assert losses[-1][1] == pytest.approx(run.history[-1]["loss"])


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="TensorBoard is not installed") as caught:
        TensorBoardLog(tmp_path, step=0)
    assert "pip install 'fastitpn[tensorboard]'" in caught.value.fix
