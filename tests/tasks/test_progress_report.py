"""The report of a run that is still training."""

import json

import pytest
import torch
from tiny_runs import TRAINING

from fastitpn.config import build
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks import progress_report
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.classify.metrics import METRICS
from fastitpn.tasks.progress_report import SHARE, ProgressReport


@pytest.fixture
def run(tmp_path):
    config = build(ClassifyConfig, {**TRAINING, "data": "d", "out": tmp_path / "run", "scratch": True, "steps": 9})
    with prepare(tmp_path / "run", config) as run:
        run.refresh = ProgressReport(
            run, config, title="Classification", steps=9, metrics=METRICS, device=torch.device("cpu")
        )
        yield run


def validated(run, step, top1=50.0):
    run.log_row({"step": step, "epoch": 1.0, "split": "val", "loss": 1.0, "top1": top1})


@pytest.mark.drawn
def test_it_is_there_from_the_first_evaluation_on(run):
    page = run.directory / "report.html"
    run.log_row({"step": 2, "epoch": 0.5, "split": "train", "loss": 2.0, "lr": 1e-3})
    assert not page.exists()
    validated(run, 3, 62.5)
    text = page.read_text()
    assert "of 9: still training" in text
    assert "62.5" in text
    assert text.count("data-curves=") == 3  # loss, top-1 and the learning rate


def test_quick_evaluations_share_a_refresh(run, monkeypatch):
    written, clock = [], iter([100.0, 101.0, 120.0, 101.0 + 1 / SHARE, 130.0])
    monkeypatch.setattr(ProgressReport, "_write", lambda self, step: written.append(step))
    monkeypatch.setattr(progress_report.time, "monotonic", lambda: next(clock))
    for step in (1, 2, 3):
        validated(run, step)
    assert written == [1, 3]


def test_the_last_evaluation_leaves_it_to_the_report_of_the_end(run, monkeypatch):
    monkeypatch.setattr(ProgressReport, "_write", lambda self, step: pytest.fail("it was written"))
    validated(run, 9)


def test_a_resumed_run_does_not_take_it_for_damaged(run):
    (run.directory / "report.html").write_text("of before")
    run.__exit__(None)
    assert "report.html" in json.loads((run.directory / "sums.json").read_text())
    run.resume()
    assert "report.html" not in json.loads((run.directory / "sums.json").read_text())
