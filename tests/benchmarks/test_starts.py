"""Where the arms of a comparison start."""

import json

import pytest
import torch

from benchmarks import starts
from fastitpn.models.weights.file import read_weights


def test_a_pre_training_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name, value in {"UNLABELLED": 8, "SCENE_PX": (40, 56), "PX": 32, "STEPS": 2}.items():
        monkeypatch.setattr(starts, name, value)
    monkeypatch.setattr(starts.store_features, "__kwdefaults__", {"px": 128, "dims": 8})
    options = {"device": "cpu"}
    made = starts.pretrained(3, options, tmp_path)
    assert made == tmp_path / "3" / "pretrain"
    assert json.loads((made / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 2
    monkeypatch.setattr(starts, "run_pretrain", lambda config: pytest.fail("it is done"))
    assert starts.pretrained(3, options, tmp_path) == made
    assert starts.pretrained(3, options | {"weights": "runs/{seed}/pretrain"}, tmp_path).parts == (
        "runs",
        "3",
        "pretrain",
    )

    tensors = torch.load(starts.without_pyramid(made, tmp_path / "trunk.pt"), weights_only=True)
    every = read_weights(made).tensors
    assert set(tensors) == {name for name in every if not name.startswith("pyramid.")} < set(every)


def test_places_of_one_machine_are_not_written_down() -> None:
    options = {"weights": "/home/someone/project/runs/{seed}/pretrain", "seeds": "0,1", "work": "/tmp", "out": "/tmp/x"}
    assert starts.as_typed(options) == "weights=project/runs/{seed}/pretrain seeds=0,1"
