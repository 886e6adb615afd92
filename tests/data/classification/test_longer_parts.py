"""Folders whose longer names are of parts: refused, for they would be classes."""

import pytest
from PIL import Image

from fastitpn.data.classification.labelled import labelled_split
from fastitpn.data.parts import longer_parts
from fastitpn.errors import InputError


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["seg_train", "seg_test", "seg_pred"], {"train": "seg_train", "test": "seg_test"}),
        (["training_set", "test_set"], {"train": "training_set", "test": "test_set"}),
        (["Train_Data", "Validation_Data"], {"train": "Train_Data", "val": "Validation_Data"}),
        (["steam train", "test tube"], {}),
        (["model_train", "model_car"], {}),
        (["train", "test"], {}),
        (["cat", "dog"], {}),
    ],
)
def test_names(names, parts):
    assert longer_parts(names) == parts


def fill(folder):
    folder.mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")


def test_they_are_no_classes(tmp_path):
    for part in ("training_set", "test_set"):
        for name in ("cat", "dog"):
            fill(tmp_path / part / name)
    with pytest.raises(
        InputError, match="the folders training_set, test_set look like parts of the data, not like classes"
    ) as caught:
        labelled_split(tmp_path)
    assert caught.value.fix == f"data={tmp_path / 'training_set'} val={tmp_path / 'test_set'}"
    train, val = labelled_split(tmp_path / "training_set", tmp_path / "test_set")
    assert (train.classes, len(train), len(val)) == (["cat", "dog"], 8, 8)


def test_folders_in_folders_are_passed_over(tmp_path):
    for part in ("seg_train", "seg_test"):
        for name in ("cat", "dog"):
            fill(tmp_path / part / part / name)
    with pytest.raises(InputError) as caught:
        labelled_split(tmp_path)
    inner = [tmp_path / part / part for part in ("seg_train", "seg_test")]
    assert caught.value.fix == f"data={inner[0]} val={inner[1]}"
    fill(tmp_path / "a" / "b" / "c" / "cat")
    fill(tmp_path / "a" / "b" / "c" / "dog")
    with pytest.raises(InputError, match="there is only one class: b") as caught:
        labelled_split(tmp_path / "a")
    assert caught.value.fix == f"data={tmp_path / 'a' / 'b' / 'c'}, whose folders look like classes"


def test_without_folders_in_them_they_are(tmp_path):
    for name in ("toy_train", "toy_test"):
        fill(tmp_path / name)
    assert labelled_split(tmp_path)[0].classes == ["toy_test", "toy_train"]
