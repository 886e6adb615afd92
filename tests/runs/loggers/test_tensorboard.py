"""Curves for TensorBoard."""

import sys

import pytest
from tiny_runs import TRAINING

import fastitpn
from fastitpn.errors import InputError
from fastitpn.runs.loggers.base import LoggedRun
from fastitpn.runs.loggers.registry import LOGGERS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder)).Reload()
    return {name: [(e.step, e.value) for e in found.Scalars(name)] for name in found.Tags()["scalars"]}


def opened(folder, step):
    return LOGGERS["tensorboard"](LoggedRun(directory=folder, title="run", config={}, step=step))


def test_rows_become_curves_and_a_resumed_run_replaces_what_came_after(tmp_path):
    pytest.importorskip("tensorboard")
    log = opened(tmp_path, 0)
    assert log.begins
    for step in range(1, 5):
        log.write({"step": step, "split": "train", "loss": float(step), "reason": "text", "nan": float("nan")})
    log.close(complete=False)
    log = opened(tmp_path, 2)
    assert not log.begins
    log.write({"step": 3, "split": "train", "loss": 30.0})
    log.close(complete=True)
    assert scalars(tmp_path / "tensorboard") == {"train/loss": [(1, 1.0), (2, 2.0), (3, 30.0)]}


@pytest.mark.parametrize("keys", [{"tensorboard": True}, {"logger": "tensorboard,csv"}], ids=["tensorboard", "logger"])
def test_a_run_writes_them_when_asked(scenes, tmp_path, keys):
    pytest.importorskip("tensorboard")
    keys = {**TRAINING, "pictures": False, **keys}
    run = fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path / "run", **keys)
    losses = scalars(run.directory / "tensorboard")["train/loss"]
    assert [step for step, _ in losses] == [1, 2, 3]
    assert losses[-1][1] == pytest.approx(run.history[-1]["loss"])
    assert (run.directory / "csv" / "metrics.csv").is_file() == ("logger" in keys)


def test_without_the_package_it_says_what_to_install(scenes, tmp_path, monkeypatch):
    monkeypatch.setitem(LOGGERS._members, "tensorboard", "fastitpn.runs.loggers.tensorboard_log:TensorBoardLog")
    monkeypatch.delitem(sys.modules, "fastitpn.runs.loggers.tensorboard_log", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    keys = {**TRAINING, "pictures": False, "logger": "tensorboard"}
    with pytest.raises(InputError, match="the logger 'tensorboard' needs a package that is not installed") as caught:
        fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path / "run", **keys)
    assert caught.value.fix == "pip install 'fastitpn[tensorboard]'"
    assert not (tmp_path / "run").exists()
