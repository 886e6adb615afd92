"""The script that compares defaults on few images."""

import json
import random
from types import SimpleNamespace

import pytest
from boxes_example import voc_file, voc_object
from PIL import Image

from benchmarks import small_data
from benchmarks.harness.options import start


@pytest.fixture
def bccd(tmp_path):
    """Eight micrographs with a cell of each kind."""
    data = tmp_path / "BCCD"
    (data / "JPEGImages").mkdir(parents=True)
    for number in range(8):
        Image.new("RGB", (300, 200), (number * 30, 0, 0)).save(data / "JPEGImages" / f"{number}.jpg")
        cells = [voc_object(name, 20 * place, 10, 20 * place + 10, 20) for place, name in enumerate(small_data.TRAIN)]
        voc_file(data / "Annotations" / f"{number}.xml", *cells, width=300)
    return data


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(small_data, "TRAIN", {"RBC": 3, "WBC": 2, "Platelets": 1})
    monkeypatch.setattr(small_data, "VAL", {"RBC": 2, "WBC": 1, "Platelets": 1})


def test_cells_of_other_micrographs_are_validated_on(bccd, few, tmp_path):
    out = small_data.build_cells(bccd, tmp_path / "cells", 0)
    files = {part: list((out / part).rglob("*.png")) for part in ("train", "val")}
    counts = {part: [len(list((out / part / name).iterdir())) for name in small_data.TRAIN] for part in files}
    assert counts == {"train": [3, 2, 1], "val": [2, 1, 1]}
    micrographs = {part: {path.stem.split("-")[0] for path in paths} for part, paths in files.items()}
    assert not micrographs["train"] & micrographs["val"]
    with Image.open(files["train"][0]) as window:
        assert window.size == (small_data.WINDOW_PX, small_data.WINDOW_PX)
    assert small_data.build_cells(bccd, out, 0) == out  # once


def test_a_window_is_around_the_middle_of_its_cell(bccd, tmp_path):
    with Image.open(bccd / "JPEGImages" / "0.jpg") as image:
        image.paste((255, 255, 255), (0, 0, 16, 200))
        image.save(bccd / "JPEGImages" / "0.jpg", quality=100)
    small_data.cut_out(
        [bccd / "Annotations" / "0.xml"], {"RBC": 1, "WBC": 0, "Platelets": 0}, tmp_path, random.Random(0)
    )
    with Image.open(tmp_path / "RBC" / "0-0.png") as window:
        white = [x for x in range(128) if window.getpixel((x, 64))[1] > 128]
    assert white == list(range(64 - 5, 64 + 11))  # the cell's middle is at x = 5, and the image begins at 0


def test_arms_differ_in_their_defaults_alone_and_are_not_measured_twice(bccd, few, tmp_path, monkeypatch, capsys):
    calls = []

    def finetune(task, **keys):
        calls.append((task, keys))
        return SimpleNamespace(metrics={"top1": 50.0 + 10 * len(calls)}, config={"batch": 16})

    monkeypatch.setattr(small_data.fastitpn, "finetune", finetune)
    out = tmp_path / "figures.json"
    words = [f"data={bccd}", f"work={tmp_path / 'work'}", f"out={out}", "seeds=0,1", "device=cpu", "workers=0"]
    start(small_data.Options, small_data.run, words)
    start(small_data.Options, small_data.run, words)
    assert len(calls) == 4
    (task, listed), (_, chosen) = calls[:2]
    assert task == "classify"
    assert {key for key in listed if listed[key] != chosen[key]} == {"out", "defaults"}
    assert (listed["defaults"], chosen["defaults"]) == ("fixed", "auto")
    stored = json.loads(out.read_text())
    assert [(row["arm"], row["seed"], row["top1"]) for row in stored["rows"]] == [
        ("listed defaults", 0, 60.0),
        ("chosen defaults", 0, 70.0),
        ("listed defaults", 1, 80.0),
        ("chosen defaults", 1, 90.0),
    ]
    assert stored["summary"]["listed defaults"] == {"mean": 70.0, "spread": [60.0, 80.0]}
    assert stored["summary"]["largest class"] == 50.0


def test_summary_of_one_arm():
    rows = [{"arm": "chosen defaults", "seed": 0, "top1": 70.0}]
    assert set(small_data.summarise(rows)) == {"chosen defaults", "largest class"}
