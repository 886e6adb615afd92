"""The script that measures what pre-training is worth on photographs."""

import json
from pathlib import Path

import pytest

from benchmarks import photographs
from benchmarks.harness.options import start

PARTS = ("train", "val", "test")


@pytest.fixture
def streets(tmp_path) -> Path:
    folder = tmp_path / "camvid"
    for part in PARTS:
        for kind, suffix in (("images", "jpg"), ("masks", "png")):
            (folder / kind / part).mkdir(parents=True)
            for number in range(5):
                (folder / kind / part / f"{part}{number}.{suffix}").write_text(f"{kind} {number}")
    (folder / "classes.yaml").write_text("names: [sky]\n")
    return folder


@pytest.fixture
def cells(tmp_path) -> Path:
    folder = tmp_path / "bccd"
    for name in ("ImageSets/Main", "JPEGImages", "Annotations"):
        (folder / name).mkdir(parents=True)
    for part in PARTS:
        names = [f"{part}{number}" for number in range(5)]
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(names))
        for name in names:
            (folder / "JPEGImages" / f"{name}.jpg").touch()
            (folder / "Annotations" / f"{name}.xml").touch()
    return folder


def names(folder: Path, pattern: str) -> list[str]:
    return sorted(path.stem for path in folder.glob(pattern))


def test_few_images_are_labelled_and_the_others_stay(streets, cells, tmp_path):
    few = [photographs.gather_labelled("camvid", streets, 2, seed, tmp_path) for seed in (0, 1)]
    assert [len(names(folder, "images/train/*")) for folder in few] == [2, 2]
    assert names(few[0], "images/train/*") == names(few[0], "masks/train/*") != names(few[1], "images/train/*")
    assert names(few[0], "images/test/*") == names(streets, "images/test/*") == names(few[0], "masks/test/*")
    assert (few[0] / "classes.yaml").is_file()
    folder = photographs.gather_labelled("bccd", cells, 2, 0, tmp_path)
    listed = (folder / "ImageSets/Main/train.txt").read_text().split()
    assert len(listed) == 2
    assert len(names(folder, "JPEGImages/*.jpg")) == 12 == len(names(folder, "Annotations/*.xml"))
    assert set(listed) <= set(names(folder, "JPEGImages/*.jpg"))


def test_rates_are_chosen_once_and_rows_are_made_once(streets, tmp_path, monkeypatch):
    done: list[tuple] = []

    def finetune(data, source, labelled, arm, schedule, lr, seed, options):
        done.append((labelled, arm, schedule, lr, seed))
        return {"val": 10 - abs(lr - 1e-3), "cpu_s": 60}

    monkeypatch.setattr(photographs, "finetune", finetune)
    monkeypatch.setattr(photographs, "pretrain", lambda name, seed, options: {"pretraining": name, "seed": seed})
    monkeypatch.setattr(photographs, "test", lambda data, source, folder, labelled, seed, options: 20.0 + labelled)
    words = [f"camvid={streets}", f"work={tmp_path / 'w'}", f"out={tmp_path / 'a.json'}", "seeds=0,1", "parts=a"]
    start(photographs.Options, photographs.run, words)
    stored = json.loads((tmp_path / "a.json").read_text())
    assert len(stored["rows"]) == 2 * 2 * len(photographs.PARTS["a"])
    assert {row["lr"] for row in stored["rows"]} == {1e-3}
    assert stored["pretrainings"] == [{"pretraining": "merged", "seed": seed} for seed in (0, 1)]
    assert stored["command"] == "python -m benchmarks.photographs"
    trials = {(arm, schedule) for labelled, arm, schedule, lr, seed in done if lr != 1e-3}
    assert trials == {("merged", "short"), ("scratch", "short"), ("scratch", "long"), ("merged", "long")}
    assert all(labelled == 100 and seed == 0 for labelled, arm, schedule, lr, seed in done if lr != 1e-3)
    done.clear()
    start(photographs.Options, photographs.run, words)
    assert done == []


def test_gains_are_differences_of_the_same_seed_and_labels():
    def row(arm: str, schedule: str, seed: int, test: float) -> dict:
        names = {"data": "camvid", "labelled": 30, "arm": arm, "schedule": schedule}
        return {**names, "seed": seed, "test": test, "cpu_s": 90}

    rows = [row("scratch", "short", seed, 20.0 + seed) for seed in (0, 1)]
    rows += [row("merged", "short", seed, 23.0 + 3 * seed) for seed in (0, 1)]
    rows += [row("scratch", "equal-time", 0, 24.0), row("merged, fresh pyramid", "short", 1, 25.5)]
    summary = {(each["arm"], each["schedule"]): each for each in photographs.summarise(rows)}
    merged = summary["merged", "short"]
    assert (merged["seeds"], merged["cpu_minutes"]) == (2, 1.5)
    assert merged["test"] == {"mean": 24.5, "spread": [23.0, 26.0]}
    assert merged["over scratch"] == {"mean": 4.0, "spread": [3.0, 5.0]}
    assert merged["over scratch, equal time"] == {"mean": -1.0, "spread": [-1.0, -1.0]}
    assert merged["over fresh pyramid"] == {"mean": 0.5, "spread": [0.5, 0.5]}
    assert "over scratch, equal time" not in summary["scratch", "equal-time"]
