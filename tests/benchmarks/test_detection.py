"""The script that measures what pre-training is worth to detection."""

import json

import pytest
import torch

import fastitpn
from benchmarks import detection
from benchmarks.harness.options import start
from fastitpn.config import parse


def test_scenes_are_in_one_part_alone(tmp_path) -> None:
    every = {
        "images": [{"id": number} for number in range(5)],
        "annotations": [{"id": number, "image_id": number % 5} for number in range(12)],
        "categories": ["kept"],
    }
    (tmp_path / "annotations_train.json").write_text(json.dumps(every))
    files = detection.set_apart(tmp_path, 2)
    train, known = (json.loads(files[name].read_text()) for name in ("train", "known"))
    assert [image["id"] for image in train["images"]] == [0, 1, 2]
    assert [image["id"] for image in known["images"]] == [3, 4]
    assert {annotation["image_id"] for annotation in known["annotations"]} == {3, 4}
    assert len(train["annotations"]) + len(known["annotations"]) == 12
    assert train["categories"] == known["categories"] == ["kept"]


def test_arms_differ_in_what_they_say_alone(pretrained_run, tmp_path) -> None:
    """And in the place of their run."""
    weights, options = pretrained_run.directory, parse(detection.Options, ["px=32", f"work={tmp_path / 'work'}"])
    files = {"train": tmp_path / "train.json", "known": tmp_path / "known.json"}
    keys = {arm: detection.keys_of(arm, 0, files, weights, options) for arm in detection.ARMS}
    plain = keys[detection.PRETRAINED]
    for arm, mine in keys.items():
        different = {key for key in mine | plain if mine.get(key) != plain.get(key)} - {"out", "weights"}
        own = detection.ARMS[arm]
        longer = {"epochs", "warmup_epochs", "eval_every_epochs"} if arm in detection.TIMES else set()
        assert different - longer == {
            key for key in own | detection.ARMS[detection.PRETRAINED] if own.get(key) != plain.get(key)
        }
    assert keys[detection.SCRATCH_2X]["epochs"] == 2 * keys[detection.SCRATCH]["epochs"]
    trunk = torch.load(keys[detection.FRESH]["weights"], weights_only=True)
    assert any(name.startswith("stages.") for name in trunk)
    assert not any(name.startswith("pyramid.") for name in trunk)


def test_gains_are_differences_of_the_same_seed() -> None:
    rows = [
        {"arm": arm, "seed": seed, "training_minutes": 1.0}
        | {part: {name: value + 10 * seed for name in detection.FIGURES} for part in detection.SETS}
        for seed in (0, 1)
        for arm, value in ((detection.PRETRAINED, 5.0 + seed), (detection.SCRATCH, 2.0))
    ]
    summary = detection.summarise(rows)
    scratch = summary["arms"][detection.SCRATCH]
    assert scratch["unseen"]["box_ap"] == {"mean": 7.0, "spread": [2.0, 12.0], "seeds": 2}
    assert scratch["training_minutes"]["mean"] == 1.0
    gain = summary["gains"]["pre-trained over scratch"]["known"]["mask_ap75"]
    assert gain == {"mean": 3.5, "spread": [3.0, 4.0], "seeds": 2}
    assert set(summary["gains"]) == {"pre-trained over scratch"}


def test_what_is_stored_and_that_it_is_not_done_twice(
    pretrained_run, monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    words = [f"weights={pretrained_run.directory}", f"work={tmp_path / 'work'}", f"out={out}", "seeds=0", "device=cpu"]
    small = ["train=8", "val=4", "px=32", "epochs=2", "workers=0", "arms=pre-trained,fresh-pyramid"]
    start(detection.Options, detection.run, [*words, *small])
    first = json.loads(out.read_text())
    assert [row["arm"] for row in first["rows"]] == ["pre-trained", "fresh-pyramid"]
    assert first["rows"][0]["steps"] == 4
    assert set(first["rows"][0]["unseen"]) == set(detection.FIGURES)
    assert first["command"].startswith("python -m benchmarks.detection weights=")
    assert set(first["summary"]["gains"]) == {"pre-trained over fresh pyramid"}
    monkeypatch.setattr(fastitpn, "finetune", lambda *task, **keys: pytest.fail("it is done"))
    start(detection.Options, detection.run, [*words, *small])
    assert json.loads(out.read_text())["rows"] == first["rows"]
