"""What every logger is sent: each row once, also when a run goes on from an earlier step."""

import csv
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from training_example import SETTINGS, TinyTask, train

from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.runs.loggers.base import LoggedRun, MetricsLogger
from fastitpn.runs.loggers.opened import FILE, Loggers, check_loggers
from fastitpn.runs.loggers.registry import LOGGERS
from fastitpn.tasks.classify.config import ClassifyConfig


class Service(MetricsLogger):
    """A service that keeps all that it is sent, as those of Weights & Biases and MLflow do."""

    sent: ClassVar[dict[str, list[tuple[int, str]]]] = {}
    ends: ClassVar[list[bool]] = []
    refuses = False

    def __init__(self, run: LoggedRun):
        self.begins, self.mark = not run.mark, run.mark or f"run{len(self.sent)}"
        self.rows = self.sent.setdefault(self.mark, [])

    def write(self, row: Mapping[str, Any]) -> None:
        if self.refuses:
            raise ConnectionError("it is down")
        self.rows.append((row["step"], row["split"]))

    def close(self, *, complete: bool) -> None:
        self.ends.append(complete)


@pytest.fixture
def service(monkeypatch):
    for name, value in (("sent", {}), ("ends", []), ("refuses", False)):
        monkeypatch.setattr(Service, name, value)
    monkeypatch.setitem(LOGGERS._members, "service", Service)
    return Service


def row(step, split="train", **more):
    return {"step": step, "epoch": 0.5, "split": split, "loss": 1.0 / step, **more}


def opened(folder, names, step=0, history=(), before=()):
    return Loggers(names, folder, {"lr": 0.1}, step=step, history=history, before=before)


def test_rows_of_an_earlier_attempt_are_not_sent_again(service, tmp_path):
    first = opened(tmp_path, ["service"])
    rows = [row(1), row(2), row(2, "val"), row(3)]
    for entry in rows:
        first.write(entry)
    second = opened(tmp_path, ["service"], step=1, history=rows[:1], before=rows)
    for entry in (row(2), row(2, "val")):
        second.write(entry)
    third = opened(tmp_path, ["service"], step=1, history=rows[:1], before=rows[:3])  # stopped again before step 3
    for entry in (*rows[1:], row(3, "val"), row(4)):
        third.write(entry)
    third.close(complete=True)
    assert service.sent == {"run0": [(1, "train"), (2, "train"), (2, "val"), (3, "train"), (3, "val"), (4, "train")]}
    assert json.loads((tmp_path / FILE).read_text())["service"] == {"mark": "run0", "sent": [[3, "train"]]}


def test_a_logger_that_comes_later_is_given_the_rows_of_before(service, tmp_path):
    rows = [row(1), row(2)]
    opened(tmp_path, ["service"], step=2, history=rows, before=[*rows, row(3)]).write(row(3))
    assert service.sent["run0"] == [(1, "train"), (2, "train"), (3, "train")]


def test_a_failure_while_training_is_said_once(service, tmp_path, caplog, monkeypatch):
    loggers = opened(tmp_path, ["service"])
    monkeypatch.setattr(Service, "refuses", True)
    with caplog.at_level(logging.WARNING, "fastitpn"):
        loggers.write(row(1))
        loggers.write(row(2))
    assert [record.message for record in caplog.records] == [
        "logger=service failed, and the run goes on without it: it is down"
    ]


def test_a_run_that_goes_on(service, tmp_path):
    settings = replace(SETTINGS, loggers=("service", "csv"))

    class Failing(TinyTask):
        def after_step(self, progress: float) -> None:
            super().after_step(progress)
            if len(self.progress) == 6:
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(tmp_path / "run", settings, task=Failing())
    run = train(tmp_path / "run", settings)
    expected = [(entry["step"], entry["split"]) for entry in run.history]
    assert service.sent == {"run0": expected}
    assert service.ends[-1] is True
    with open(tmp_path / "run" / "csv" / "metrics.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["step"]) for line in lines] == [step for step, _ in expected]
    assert [line["val/top1"] for line in lines if line["val/top1"]] == [
        str(entry["top1"]) for entry in run.history if entry["split"] == "val"
    ]


def test_the_keys():
    config = build(ClassifyConfig, {"data": "d", "logger": "csv,wandb", "tensorboard": True})
    assert config.loggers == ("csv", "wandb", "tensorboard")
    assert build(ClassifyConfig, {"data": "d"}).loggers == ()
    with pytest.raises(InputError, match="each one of csv, tensorboard, wandb, mlflow"):
        build(ClassifyConfig, {"data": "d", "logger": "wand"})


def test_wandb_without_a_login(monkeypatch, tmp_path):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(type(wandb.api), "api_key", None)
    with pytest.raises(InputError, match="there is no login") as error:
        check_loggers(["wandb"])
    assert error.value.fix == "wandb login; or WANDB_MODE=offline, and wandb sync later"
    monkeypatch.setenv("WANDB_MODE", "offline")
    check_loggers(["wandb"])


def test_wandb_is_offline_and_keeps_its_id(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    marks = []
    for step, rows in ((0, [row(1), row(1, "val")]), (1, [row(2)])):
        log = LOGGERS["wandb"](
            LoggedRun(directory=tmp_path, title="it", config={"lr": 0.1}, step=step, mark=marks[0] if marks else "")
        )
        assert log.begins == (not marks)
        for entry in rows:
            log.write(entry)
        log.close(complete=step == 1)
        marks.append(log.mark)
    assert marks[0] == marks[1]
    assert len(list(tmp_path.glob(f"wandb/offline-run-*-{marks[0]}/*.wandb"))) >= 1


def test_mlflow_writes_into_a_folder_beside_the_run(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mark = ""
    for step, complete in ((0, False), (1, True)):
        log = LOGGERS["mlflow"](
            LoggedRun(directory=tmp_path / "it", title="it", config={"lr": 0.1}, step=step, mark=mark)
        )
        log.write(row(step + 1))
        log.close(complete=complete)
        mark = log.mark
    client = MlflowClient((tmp_path / "mlruns").as_uri())
    stored = client.get_run(mark)
    assert (stored.info.run_name, stored.info.status, stored.data.params) == ("it", "FINISHED", {"lr": "0.1"})
    assert [(m.step, m.value) for m in client.get_metric_history(mark, "train/loss")] == [(1, 1.0), (2, 0.5)]
