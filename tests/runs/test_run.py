import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from fastitpn.config import Config
from fastitpn.errors import InputError
from fastitpn.runs.metrics_log import append_row
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import prepare


@dataclass(frozen=True, kw_only=True)
class Example(Config):
    """Run."""

    _command: ClassVar[str] = "finetune classify"

    data: str = "x"
    """Images."""
    lr: float = 1e-5
    """Learning rate."""


def test_a_run_tells_what_it_is(tmp_path):
    directory = prepare(tmp_path / "a", Example())
    run = Run(tmp_path / "a")
    assert run.config == {"data": "x", "lr": 1e-5}
    assert run.verb == "finetune classify"
    assert (run.metrics, run.history, run.last_checkpoint, run.best_checkpoint) == ({}, [], None, None)
    assert repr(run) == f"Run({str(tmp_path / 'a')!r}, finetune classify, not complete)"

    append_row(tmp_path / "a" / "metrics.jsonl", {"step": 1, "epoch": 0.5, "split": "val", "top1": 0.25})
    append_row(tmp_path / "a" / "metrics.jsonl", {"step": 2, "epoch": 1.0, "split": "train", "loss": 1.0})
    assert run.metrics == {"top1": 0.25}
    assert [row["step"] for row in run.history] == [1, 2]
    words = f"<p>{tmp_path / 'a'}, finetune classify, not complete</p>"
    assert run._repr_html_() == f"{words}<table><tr><th>top1</th><td>0.25</td></tr></table>"
    (tmp_path / "a" / "report.html").touch()
    assert f'<a href="{tmp_path / "a" / "report.html"}">' in run._repr_html_()

    directory.save_best({"step": 1})
    directory.finish({"top1": 0.5})
    assert run.complete
    assert run.metrics == {"top1": 0.5}
    assert run.best_checkpoint == tmp_path / "a" / "checkpoints" / "best.ckpt"
    assert repr(run) == f"Run({str(tmp_path / 'a')!r}, finetune classify, complete, top1=0.5)"


def test_the_checkpoint_before_serves_while_the_last_one_is_missing(tmp_path):
    directory = prepare(tmp_path / "a", Example())
    directory.save_last({"step": 1})
    directory.save_last({"step": 2})
    assert directory.last_checkpoint.name == "last.ckpt"
    directory.last_checkpoint.unlink()
    assert directory.last_checkpoint.name == "previous.ckpt"


def test_no_run(tmp_path):
    with pytest.raises(InputError, match="not a run directory"):
        Run(tmp_path)


def test_settings_that_cannot_be_read(tmp_path):
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(InputError, match="settings of the run cannot be read"):
        _ = Run(tmp_path).config


def test_settings_without_their_first_line(tmp_path):
    (tmp_path / "config.yaml").write_text("a: 1\n")
    assert Run(tmp_path).verb == ""
    assert repr(Run(tmp_path)) == f"Run({str(tmp_path)!r}, not complete)"


def test_the_result_is_json(tmp_path):
    prepare(tmp_path / "a", Example()).finish({"train_loss": -0.4})
    assert json.loads((tmp_path / "a" / "result.json").read_text()) == {"train_loss": -0.4}
