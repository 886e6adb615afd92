"""Where the arms of a comparison start."""

import json
from pathlib import Path

import pytest
import torch

import fastitpn
from benchmarks.harness import starts
from benchmarks.harness.options import TrainingOptions
from fastitpn.models.weights.file import read_weights


def test_a_pre_training_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name, value in {"UNLABELLED": 8, "SCENE_PX": (40, 56), "PX": 32, "STEPS": 2}.items():
        monkeypatch.setattr(starts, name, value)
    monkeypatch.setattr(starts.store_features, "__kwdefaults__", {"px": 128, "dims": 8})
    options = TrainingOptions(device="cpu", work=tmp_path)
    made = starts.pretrained(3, options)
    assert made == tmp_path / "3" / "pretrain"
    assert json.loads((made / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 2
    monkeypatch.setattr(fastitpn, "pretrain", lambda **keys: pytest.fail("it is done"))
    assert starts.pretrained(3, options) == made
    assert starts.pretrained(3, options, Path("runs/{seed}/pretrain")) == Path("runs/3/pretrain")

    tensors = torch.load(starts.without_pyramid(made, tmp_path / "trunk.pt"), weights_only=True)
    every = read_weights(made).tensors
    assert set(tensors) == {name for name in every if not name.startswith("pyramid.")} < set(every)
