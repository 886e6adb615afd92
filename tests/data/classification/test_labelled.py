"""Images with a class each: in folders or a table, split by the seed or by parts."""

import pytest

from fastitpn.data.classification.labelled import LabelledImages, labelled, labelled_split
from fastitpn.errors import InputError


@pytest.fixture
def classes_folder(tmp_path, write_images):
    folder = tmp_path / "photos"
    write_images(folder, *(f"cat/{i}.jpg" for i in range(20)), *(f"dog/in/{i}.png" for i in range(10)), "eel/0.jpg")
    return folder


def test_labelled_folder(classes_folder):
    images = labelled(classes_folder)
    assert images.classes == ["cat", "dog", "eel"]
    assert len(images) == 31
    for path, label in zip(images.paths, images.labels, strict=True):
        assert images.classes[label] == path.relative_to(classes_folder).parts[0]


def test_labelled_table(tmp_path, write_images):
    write_images(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "t.csv").write_text("image,label\n1.jpg,dog\n2.jpg,cat\n3.jpg,dog\n")
    images = labelled(tmp_path / "t.csv")
    assert images.classes == ["cat", "dog"]
    assert {path.name: label for path, label in zip(images.paths, images.labels, strict=True)} == {
        "1.jpg": 1,
        "2.jpg": 0,
        "3.jpg": 1,
    }


def test_given_classes_set_the_index(classes_folder):
    images = labelled(classes_folder, classes=["zebra", "eel", "dog", "cat"])
    assert images.classes == ["zebra", "eel", "dog", "cat"]
    assert sorted(set(images.labels)) == [1, 2, 3]
    assert images.labels.count(3) == 20


def test_unknown_classes_are_named(classes_folder):
    (classes_folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"(?s)unknown classes: cat, eel\n.*photos.*: dog, cow"):
        labelled(classes_folder, classes=["dog", "cow"])


def test_one_class_and_empty_classes(tmp_path, write_images):
    write_images(tmp_path, "cat/1.jpg")
    with pytest.raises(InputError, match="only one class: cat"):
        labelled(tmp_path)
    assert labelled(tmp_path, classes=["cat", "dog"]).labels == [0]
    (tmp_path / "dog").mkdir()
    with pytest.raises(InputError, match="class folders without images: dog"):
        labelled(tmp_path)


def test_folders_without_classes(tmp_path, write_images):
    with pytest.raises(InputError, match="no images in this folder"):
        labelled(tmp_path)
    write_images(tmp_path, "1.jpg")
    with pytest.raises(InputError, match=r"(?s)no class sub-folders.*FOLDER/cat.*image,label"):
        labelled(tmp_path)


def test_a_folder_of_parts_is_not_taken_for_classes(tmp_path, write_images):
    write_images(tmp_path, "train/cat/1.jpg", "val/cat/2.jpg")
    with pytest.raises(InputError, match=rf"(?s)parts of a data set \(train, val\).*give one part: {tmp_path}/val"):
        labelled(tmp_path)


def counts(images: LabelledImages) -> list[int]:
    return [images.labels.count(label) for label in range(len(images.classes))]


def test_split_is_stratified_complete_and_without_overlap(classes_folder):
    whole = labelled(classes_folder)
    train, val = labelled_split(classes_folder, val_ratio=0.2)
    assert (counts(train), counts(val)) == ([16, 8, 1], [4, 2, 0])
    assert train.classes == val.classes == whole.classes
    assert set(train.paths).isdisjoint(val.paths)
    pairs = {path: label for part in (train, val) for path, label in zip(part.paths, part.labels, strict=True)}
    assert pairs == dict(zip(whole.paths, whole.labels, strict=True))


def test_split_depends_on_the_seed_alone(classes_folder, write_images):
    _, val = labelled_split(classes_folder, val_ratio=0.2, seed=1)
    assert labelled_split(classes_folder, val_ratio=0.2, seed=1)[1].paths == val.paths
    assert labelled_split(classes_folder, val_ratio=0.2, seed=2)[1].paths != val.paths
    write_images(classes_folder, "bee/1.jpg", "bee/2.jpg")
    grown = labelled_split(classes_folder, val_ratio=0.2, seed=1)[1].paths
    assert [path for path in grown if path.parts[-2] != "bee"] == val.paths


def test_split_ratio_bounds(classes_folder, tmp_path, write_images):
    assert [len(part) for part in labelled_split(classes_folder, val_ratio=0)] == [31, 0]
    assert counts(labelled_split(classes_folder, val_ratio=0.99)[0]) == [1, 1, 1]
    for ratio in (1.0, -0.1):
        with pytest.raises(InputError, match=f"val_ratio is {ratio}"):
            labelled_split(classes_folder, val_ratio=ratio)
    write_images(tmp_path / "tiny", "a/1.jpg", "b/2.jpg")
    with pytest.raises(InputError, match=r"(?s)no class has two images.*val=FOLDER"):
        labelled_split(tmp_path / "tiny")


def test_split_by_folders_or_val(tmp_path, write_images):
    write_images(tmp_path, "d/train/a/1.jpg", "d/train/b/2.jpg", "d/val/b/3.jpg", "other/a/4.jpg")
    train, val = labelled_split(tmp_path / "d")
    assert [path.name for path in train.paths] == ["1.jpg", "2.jpg"]
    assert ([path.name for path in val.paths], val.labels) == (["3.jpg"], [1])
    train, val = labelled_split(tmp_path / "d", tmp_path / "other")
    assert ([path.name for path in val.paths], val.labels) == (["4.jpg"], [0])
    assert [path.name for path in train.paths] == ["1.jpg", "2.jpg"]


def test_validation_classes_must_be_known(tmp_path, write_images):
    write_images(tmp_path, "d/train/a/1.jpg", "d/train/b/2.jpg", "d/val/c/3.jpg")
    with pytest.raises(InputError, match=r"(?s)unknown classes: c\n.*val.*a, b"):
        labelled_split(tmp_path / "d")
