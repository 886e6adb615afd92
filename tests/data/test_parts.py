import pytest

from fastitpn.data.parts import part_folders, part_of, say_of_test
from fastitpn.errors import InputError


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, "train") for name in ("train", "Train", "TRAINING", "train2017", "train_2012", "training-2024")),
        *((name, "val") for name in ("val", "valid", "Validation", "val2017", "VAL")),
        *((name, "test") for name in ("test", "Testing", "test2015")),
        *((name, None) for name in ("trains", "trained", "cat", "values", "test1", "contest", "", "train_a")),
    ],
)
def test_names(name, part):
    assert part_of(name) == part


def test_folders_in_order(tmp_path):
    for name in ("Testing", "cats", "valid", "train2017"):
        (tmp_path / name).mkdir()
    (tmp_path / "train.txt").touch()
    parts = part_folders(tmp_path)
    assert {part: folder.name for part, folder in parts.items()} == {
        "train": "train2017",
        "val": "valid",
        "test": "Testing",
    }
    assert list(parts) == ["train", "val", "test"]
    assert "kept for evaluate" in say_of_test(parts)
    assert say_of_test({"train": 1, "val": 2}) is None
    assert part_folders(tmp_path / "no_folder") == {}


def test_two_of_a_part(tmp_path):
    for name in ("train2014", "train2017"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="train2014 and train2017 are both"):
        part_folders(tmp_path)
