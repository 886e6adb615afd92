"""The script that compares defaults on few images."""

import json
from types import SimpleNamespace

import numpy as np
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
        cells = [voc_object(name, 20 * place, 10, 20 * place + 10, 20) for place, name in enumerate(small_data.CELLS)]
        voc_file(data / "Annotations" / f"{number}.xml", *cells, width=300)
    return data


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(small_data, "CELLS", {"RBC": (3, 2), "WBC": (2, 1), "Platelets": (1, 1)})


def cells_of(data):
    return list(small_data.around_boxes(data / "Annotations", data / "JPEGImages"))


def test_cells_of_other_micrographs_are_validated_on(bccd, few, tmp_path):
    out = small_data.build(cells_of(bccd), small_data.CELLS, tmp_path / "cells", 0)
    files = {part: list((out / part).rglob("*.png")) for part in ("train", "val")}
    counts = {part: [len(list((out / part / name).iterdir())) for name in small_data.CELLS] for part in files}
    assert counts == {"train": [3, 2, 1], "val": [2, 1, 1]}
    micrographs = {part: {path.stem.split("-")[0] for path in paths} for part, paths in files.items()}
    assert not micrographs["train"] & micrographs["val"]
    with Image.open(files["train"][0]) as window:
        assert window.size == (small_data.WINDOW_PX, small_data.WINDOW_PX)
    assert small_data.build([], small_data.CELLS, out, 0) == out  # once


def test_a_window_is_around_the_middle_of_its_cell(bccd):
    corner = next(corner for file, name, corner in cells_of(bccd) if (file.stem, name) == ("0", "WBC"))
    assert corner == (25 - 64, 15 - 64)


def test_beside_is_the_corner_that_is_far_from_all_boxes(bccd):
    windows = list(small_data.around_boxes(bccd / "Annotations", bccd / "JPEGImages", beside="elsewhere"))
    assert {corner for _, name, corner in windows if name == "elsewhere"} == {(300 - 128, 200 - 128)}
    assert sum(name == "elsewhere" for _, name, _ in windows) == 8


def test_a_street_window_is_named_after_most_of_its_pixels(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind / "train").mkdir(parents=True)
    labels = np.full((128, 400), 255, np.uint8)
    labels[:70, :128], labels[:, 128:256] = 1, 0  # "b" has more than half of the first, and the third has neither
    Image.fromarray(labels).save(tmp_path / "masks" / "train" / "street.png")
    (tmp_path / "classes.yaml").write_text("names: [a, b]\n")
    image = tmp_path / "images" / "train" / "street.jpg"
    image.touch()
    assert list(small_data.of_masks(tmp_path, ("a", "b"))) == [(image, "b", (0, 0)), (image, "a", (128, 0))]


def test_arms_differ_in_their_defaults_alone_and_are_not_measured_twice(bccd, few, tmp_path, monkeypatch, capsys):
    calls = []

    def finetune(task, **keys):
        calls.append((task, keys))
        config = {"model": "fastitpn_nano", "px": 64, "epochs": 1.0, "batch": 16}
        return SimpleNamespace(metrics={"top1": 50.0 + 5 * len(calls)}, config=config)

    monkeypatch.setattr(small_data.fastitpn, "finetune", finetune)
    out = tmp_path / "figures.json"
    words = [f"cells={bccd}", f"work={tmp_path / 'work'}", f"out={out}", "seeds=0,1", "device=cpu", "workers=0"]
    start(small_data.Options, small_data.run, words)
    start(small_data.Options, small_data.run, words)
    assert len(calls) == 6
    assert {task for task, _ in calls} == {"classify"}
    (_, listed), (_, recipe), (_, plain) = calls[:3]
    assert {key for key in listed if listed[key] != plain.get(key)} == {"out", "defaults", "model"}
    assert {key for key in recipe if recipe[key] != plain.get(key)} == {"out", "recipe"}
    assert set(plain) == {"data", "out", "scratch", "seed", "device", "workers"}
    stored = json.loads(out.read_text())
    assert [(row["arm"], row["seed"], row["top1"]) for row in stored["rows"]] == [
        (arm, seed, 55.0 + 5 * (3 * seed + place)) for seed in (0, 1) for place, arm in enumerate(small_data.ARMS)
    ]
    assert stored["summary"]["cells"]["listed defaults"] == {"mean": 62.5, "spread": [55.0, 70.0]}
    assert stored["command"] == "python -m benchmarks.small_data"


def test_without_photographs_it_says_what_to_give(capsys):
    with pytest.raises(SystemExit):
        start(small_data.Options, small_data.run, [])
    assert "cells=BCCD" in capsys.readouterr().err
