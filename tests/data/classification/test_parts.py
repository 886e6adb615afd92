"""Parts of images with classes: folders, tables, and a column of a table."""

import unicodedata

import pytest

import fastitpn
from fastitpn.data.classification.labelled import labelled, labelled_part, labelled_split
from fastitpn.errors import InputError


def names(images):
    return [path.name for path in images.paths]


@pytest.fixture
def folders(tmp_path, write_images):
    """Writes images of the classes a and b into the folders of parts."""

    def write(*parts):
        for part in parts:
            write_images(tmp_path / "d", *(f"{part}/{label}/{part}{label}{n}.jpg" for label in "ab" for n in range(3)))
        return tmp_path / "d"

    return write


@pytest.mark.parametrize(
    ("parts", "train", "val"),
    [
        (("train", "val"), "train", "val"),
        (("Training", "Validation", "Test"), "Training", "Validation"),
        (("train2017", "valid"), "train2017", "valid"),
        (("train", "test"), "train", "train"),
        (("TRAIN",), "TRAIN", "TRAIN"),
    ],
)
def test_a_test_part_is_neither_trained_nor_validated_on(folders, capsys, parts, train, val):
    split = labelled_split(folders(*parts))
    assert [images.classes for images in split] == [["a", "b"]] * 2
    assert [{path.parts[-3] for path in images.paths} for images in split] == [{train}, {val}]
    assert [len(images) for images in split] == ([6, 6] if train != val else [4, 2])
    heard = capsys.readouterr().out
    assert ("kept for evaluate" in heard) == (parts[-1].lower() == "test")
    assert ("10% of train are held out" in heard) == (train == val)


def test_classes_that_are_named_like_parts(tmp_path, write_images):
    write_images(tmp_path / "d", "train/1.jpg", "train/2.jpg", "car/1.jpg", "car/2.jpg")
    assert labelled_split(tmp_path / "d")[0].classes == ["car", "train"]


def test_no_part_to_train_on(folders):
    with pytest.raises(InputError, match=r"(?s)no part train in this data, but val and test.*data=\S+/d/val"):
        labelled_split(folders("val", "test"))


@pytest.mark.parametrize(
    ("parts", "asked", "chosen", "said"),
    [
        (("train", "val", "test"), None, "val", "evaluated on the part val (split=train or split=test for the others)"),
        (("train", "test"), None, "test", "evaluated on the part test (split=train for the other)"),
        (("train", "val", "test"), "train", "train", "evaluated on the part train (split=val or split=test"),
    ],
)
def test_the_part_to_evaluate(folders, capsys, parts, asked, chosen, said):
    images = labelled_part(folders(*parts), asked, ["b", "a"])
    assert {path.parts[-3] for path in images.paths} == {chosen}
    assert said in capsys.readouterr().out


def test_a_part_that_is_not_there(folders):
    with pytest.raises(InputError, match=r"(?s)no part test.*parts: train, val.*split=val"):
        labelled_part(folders("train", "val"), "test", ["a", "b"])
    with pytest.raises(InputError, match=r"(?s)no part test.*leave split out"):
        labelled_part(folders("train") / "train", "test", ["a", "b"])


def test_tables_of_parts(tmp_path, write_images):
    write_images(tmp_path, *(f"i/{n}.jpg" for n in range(6)))
    rows = [f"i/{n}.jpg,{'ab'[n % 2]}" for n in range(6)]
    for name, part in (("train.csv", rows[:2]), ("Valid.csv", rows[2:4]), ("test.tsv", rows[4:])):
        (tmp_path / name).write_text("image,label\n" + "\n".join(part))
    assert [names(part) for part in labelled_split(tmp_path)] == [["0.jpg", "1.jpg"], ["2.jpg", "3.jpg"]]
    assert names(labelled_part(tmp_path, "test", ["a", "b"])) == ["4.jpg", "5.jpg"]
    column = [f"{row},{part}" for row, part in zip(rows, ("train", "train", "val", "test", "test", "val"), strict=True)]
    (tmp_path / "all.csv").write_text("image,label,split\n" + "\n".join(column))
    assert [names(part) for part in labelled_split(tmp_path / "all.csv")] == [["0.jpg", "1.jpg"], ["2.jpg", "5.jpg"]]
    assert names(labelled_part(tmp_path / "all.csv", "test", ["a", "b"])) == ["4.jpg", "3.jpg"]


def test_names_in_another_unicode_form_or_case(tmp_path, write_images, capsys):
    composed, decomposed = (unicodedata.normalize(form, "Möwe") for form in ("NFC", "NFD"))
    write_images(tmp_path, f"train/{decomposed}/1.jpg", "train/Bus/2.jpg", f"val/{composed}/3.jpg", "val/BUS/4.jpg")
    train, val = labelled_split(tmp_path)
    assert (train.classes, val.labels, names(val)) == (["Bus", composed], [0, 1], ["4.jpg", "3.jpg"])
    assert "class BUS of" in capsys.readouterr().out
    assert labelled(tmp_path / "val", [decomposed, "bus"]).labels == [0, 1]


def test_names_that_are_no_utf8_can_be_said(tmp_path, write_images, capsys):
    write_images(tmp_path, "train/Caf\udce9/1.jpg", "train/Bus/2.jpg", "val/CAF\udce9/3.jpg")
    assert labelled_split(tmp_path)[1].labels == [1]
    assert r"the class CAF\udce9 of" in capsys.readouterr().out


def test_debris_is_no_class(tmp_path, write_images):
    debris = ["__MACOSX/a/._1.jpg", "@eaDir/1.jpg", "a/@eaDir/1.jpg/THUMB.jpg", "b/.ipynb_checkpoints/1.jpg"]
    debris += ["$RECYCLE.BIN/S-1/1.jpg", "System Volume Information/1.jpg", "lost+found/1.jpg", "a/._2.jpg"]
    write_images(tmp_path, "a/1.jpg", "b/2.jpg", *debris)
    images = labelled(tmp_path)
    assert (images.classes, names(images)) == (["a", "b"], ["1.jpg", "2.jpg"])


def test_a_folder_too_many(tmp_path, write_images):
    write_images(tmp_path, "Pets/cat/1.jpg", "Pets/dog/2.jpg")
    with pytest.raises(InputError, match=r"(?s)only one class: Pets.*data=\S+/Pets, whose folders look like classes"):
        labelled(tmp_path)


def test_doctor_takes_a_list_for_images_without_classes(tmp_path, write_images):
    write_images(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "list.txt").write_text("1.jpg\n2.jpg\n")
    assert fastitpn.doctor(tmp_path / "list.txt", similar=None, out=tmp_path / "out").form == "images"


def test_a_folder_with_one_table_of_classes(tmp_path, write_images, capsys):
    """As fast.ai's data sets are."""
    write_images(tmp_path, *(f"train/{number}.jpg" for number in range(6)))
    (tmp_path / "labels.csv").write_text("name,label\n" + "".join(f"train/{n}.jpg,{'ab'[n % 2]}\n" for n in range(6)))
    train, val = labelled_split(tmp_path, val_ratio=0.3, seed=0)
    assert (train.classes, len(train), len(val)) == (["a", "b"], 4, 2)
    assert "the classes are those of labels.csv" in capsys.readouterr().out


def test_names_of_images_without_suffixes_in_a_folder_of_the_table(tmp_path, write_images, capsys):
    """As Kaggle's are."""
    write_images(tmp_path, *(f"train_images/{number}.png" for number in range(6)))
    (tmp_path / "train.csv").write_text("image_id,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(6)))
    train, val = labelled_split(tmp_path / "train.csv", val_ratio=0.3, seed=0)
    assert sorted(path.name for path in (*train.paths, *val.paths)) == [f"{n}.png" for n in range(6)]
    assert "6 (without a suffix)" in capsys.readouterr().out
