"""The script that measures what pre-training is worth to segmentation."""

import json

import pytest
import torch

import fastitpn
from benchmarks import segmentation
from benchmarks.harness.options import start
from fastitpn.config import parse
from fastitpn.models.acceleration.settings import PRESETS


def test_arms_differ_in_what_they_say_alone(pretrained_run, tmp_path) -> None:
    """And in the place of their run; the longer one in its steps, with a warm-up and validations in proportion."""
    weights = pretrained_run.directory
    options = parse(segmentation.Options, ["px=32", f"work={tmp_path / 'work'}"])
    keys = {arm: segmentation.keys_of(arm, 0, tmp_path, weights, options) for arm in segmentation.ARMS}
    plain = keys[segmentation.PRETRAINED]
    for arm, mine in keys.items():
        different = {key for key in mine | plain if mine.get(key) != plain.get(key)} - {"out", "weights"}
        steps = {"epochs", "warmup_epochs", "eval_every_epochs"} if arm == segmentation.LONGER else set()
        assert different == set(segmentation.ARMS[arm]) | steps
    assert keys[segmentation.LONGER]["epochs"] == 3 * plain["epochs"]
    assert "weights" not in keys[segmentation.SCRATCH]
    trunk = torch.load(keys[segmentation.FRESH]["weights"], weights_only=True)
    assert any(name.startswith("stages.") for name in trunk)
    assert not any(name.startswith("pyramid.") for name in trunk)


def test_gains_are_differences_of_the_same_seed() -> None:
    by_preset = {preset: {"miou": 1.0, "speed_up": 2.0, "images_per_s": 3.0} for preset in PRESETS}
    rows = [
        {"arm": arm, "seed": seed, "training_minutes": 1.0, "with": by_preset}
        | {name: value + 10 * seed for name in segmentation.FIGURES}
        for seed in (0, 1)
        for arm, value in ((segmentation.PRETRAINED, 5.0 + seed), (segmentation.SCRATCH, 2.0))
    ]
    summary = segmentation.summarise(rows)
    assert summary["arms"][segmentation.SCRATCH]["miou"] == {"mean": 7.0, "spread": [2.0, 12.0], "seeds": 2}
    gain = {"mean": 3.5, "spread": [3.0, 4.0], "seeds": 2, "by_seed": {0: 3.0, 1: 4.0}}
    assert summary["gains"]["pre-trained over scratch"]["miou"] == gain
    assert set(summary["gains"]) == {"pre-trained over scratch"}


def test_what_is_stored_and_that_it_is_not_done_twice(
    pretrained_run, monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    monkeypatch.setattr(segmentation, "ROUNDS", 1)
    words = [f"weights={pretrained_run.directory}", f"work={tmp_path / 'work'}", f"out={out}", "seeds=0", "device=cpu"]
    small = ["train=16", "val=4", "px=32", "epochs=1", "workers=0", "arms=pre-trained,balanced"]
    start(segmentation.Options, segmentation.run, [*words, *small])
    first = json.loads(out.read_text())
    assert [row["arm"] for row in first["rows"]] == ["pre-trained", "balanced"]
    assert first["rows"][0]["steps"] == 1
    for row in first["rows"]:
        assert set(row["with"]) == set(PRESETS)
        assert row["with"]["off"]["speed_up"] == 1
    assert first["rows"][0]["with"]["off"]["miou"] == first["rows"][0]["miou"]
    assert first["rows"][1]["with"]["balanced"]["miou"] == first["rows"][1]["miou"]
    assert first["command"].startswith("python -m benchmarks.segmentation weights=")
    assert set(first["summary"]["gains"]) == {"balanced over plain"}
    monkeypatch.setattr(fastitpn, "finetune", lambda *task, **keys: pytest.fail("it is done"))
    start(segmentation.Options, segmentation.run, [*words, *small])
    assert json.loads(out.read_text())["rows"] == first["rows"]
