"""The script that measures what integral pre-training is worth."""

import json

import pytest

import fastitpn
from benchmarks import pretraining_quality as quality
from benchmarks.harness.options import start


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few images and steps."""
    monkeypatch.setattr(quality, "UNLABELLED", 16)
    monkeypatch.setattr(quality, "SEGMENT_SCENES", (8, 8))
    monkeypatch.setattr(quality, "PER_CLASS", (2, 4))
    monkeypatch.setattr(quality, "PX", 32)
    monkeypatch.setattr(quality, "SCENE_PX", (40, 56))
    monkeypatch.setattr(quality, "TEACHER_PX", 128)
    monkeypatch.setattr(quality, "TEACHER_DIMS", 8)
    monkeypatch.setattr(quality, "PRETRAIN_STEPS", 2)
    monkeypatch.setattr(quality, "LEARNING_RATES", (1e-3, 2e-3))
    monkeypatch.setattr(quality, "BATCHES", {"classify": 4, "segment": 4})
    steps = {"short": 1, "long": 1, "frozen": 1, "equal-time": 1}
    monkeypatch.setattr(quality, "STEPS", {"classify": {"short": 1, "long": 1}, "segment": steps})


def test_from_scenes_to_figures_and_not_twice(
    small: None, monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, work = tmp_path / "figures.json", tmp_path / "work"
    arms = "arms=scratch;joint;joint, fresh pyramid;ema"
    words = [f"work={work}", f"out={out}", "seeds=0", "finetune_seeds=0,1", arms, "schedules=short,long,frozen"]
    start(quality.Options, quality.run, [*words, "device=cpu"])
    stored = json.loads(out.read_text())
    assert [row["pretraining"] for row in stored["pretrainings"]] == ["joint", "ema"]
    counts = {(row["task"], row["schedule"], row["arm"]): row["runs"] for row in stored["summary"]}
    assert counts == {
        ("segment", "short", "scratch"): 2,
        ("segment", "short", "joint"): 2,
        ("segment", "short", "joint, fresh pyramid"): 2,
        ("segment", "short", "ema"): 1,
        ("segment", "long", "scratch"): 2,
        ("segment", "long", "joint"): 2,
        ("segment", "long", "joint, fresh pyramid"): 2,
        ("segment", "frozen", "joint"): 1,
        ("segment", "frozen", "joint, fresh pyramid"): 1,
        ("classify", "short", "scratch"): 1,
        ("classify", "short", "joint"): 1,
        ("classify", "short", "ema"): 1,
        ("classify", "long", "scratch"): 1,
        ("classify", "long", "joint"): 1,
    }
    assert all(0 <= row["val"] <= 100 and 0 <= row["test"] <= 100 for row in stored["rows"])
    choice = json.loads((work / "lr-segment-short-joint.json").read_text())
    assert choice["val"][str(choice["chosen"])] == max(choice["val"].values())
    frozen = (work / "0/finetune/segment/frozen/joint" / f"{choice['chosen']:g}-0/config.yaml").read_text()
    assert "layer_decay: 0.0001" in frozen
    monkeypatch.setattr(fastitpn, "finetune", lambda *task, **keys: pytest.fail("it is done"))
    monkeypatch.setattr(fastitpn, "pretrain", lambda **keys: pytest.fail("it is done"))
    start(quality.Options, quality.run, [*words, "device=cpu"])
    assert json.loads(out.read_text())["rows"] == stored["rows"]


def test_rows_of_another_day_are_kept_with_their_rates(small: None, tmp_path) -> None:
    words = [f"out={tmp_path / 'figures.json'}", "finetune_seeds=0", "arms=scratch", "tasks=segment", "schedules=short"]
    rows = []
    for day, seeds in (("first", "0"), ("second", "0,1")):
        start(quality.Options, quality.run, [*words, f"work={tmp_path / day}", f"seeds={seeds}", "device=cpu"])
        rows.append(json.loads((tmp_path / "figures.json").read_text())["rows"])
    assert rows[1][:1] == rows[0]
    assert [row["seed"] for row in rows[1]] == [0, 1]
    assert len({row["lr"] for row in rows[1]}) == 1
    trained = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.glob("*/*/finetune/**/figures.json")}
    assert trained == {("first", "0"), ("second", "1")}


def test_scenes_are_in_one_part_alone(small: None, tmp_path) -> None:
    parts = quality.set_apart(quality.read_scenes(0, tmp_path), tmp_path)
    for task, counts in (("classify", (12, 6, 18)), ("segment", (8, 2, 6))):
        files = {part: {path.read_bytes() for path in folder.rglob("*.jpg")} for part, folder in parts[task].items()}
        assert tuple(len(files[part]) for part in ("train", "val", "test")) == counts
        assert not files["train"] & files["val"] | files["val"] & files["test"] | files["train"] & files["test"]
    assert len(list(parts["segment"]["test"].rglob("*.png"))) == 6


def test_gains_are_differences_of_the_same_seeds() -> None:
    rows = [
        {"task": "segment", "schedule": schedule, "arm": arm, "seed": seed, "finetune_seed": 0, "test": value + seed}
        for seed in (0, 1)
        for schedule, arm, value in (
            ("short", "scratch", 20.0),
            ("long", "scratch", 23.0),
            ("equal-time", "scratch", 26.0),
            ("short", "joint", 24.0 + seed),
            ("short", "joint, fresh pyramid", 25.0),
        )
    ]
    joint, later = (
        next(row for row in quality.summarise(rows) if (row["schedule"], row["arm"]) == key)
        for key in (("short", "joint"), ("equal-time", "scratch"))
    )
    assert joint["over fresh pyramid"] == {"mean": -0.5, "spread": [-1.0, 0.0], "above_0": 0}
    assert joint["over scratch"] == {"mean": 4.5, "spread": [4.0, 5.0], "above_0": 2}
    assert joint["over scratch, long"] == {"mean": 1.5, "spread": [1.0, 2.0], "above_0": 2}
    assert later["over joint"] == {"mean": 1.5, "spread": [1.0, 2.0], "above_0": 2}
