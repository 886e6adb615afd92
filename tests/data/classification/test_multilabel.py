"""Images with any number of labels each: the tables that say so, and their two parts."""

import numpy as np
import pytest

from fastitpn.data.classification.formats.label_table import LabelTable, has_several_labels, read_label_table
from fastitpn.data.classification.labelled import labelled
from fastitpn.data.classification.multilabel import MultilabelImages, multilabel_part, multilabel_split
from fastitpn.errors import InputError

EXPECTED = {"1.jpg": {"boat", "sea"}, "2.jpg": {"sea"}, "3.jpg": set()}
TABLES = {
    "bar": "image,labels\n1.jpg,boat|sea\n2.jpg,sea\n3.jpg,\n",
    "bar with blanks": "image,label\n1.jpg,boat | sea\n2.jpg,sea|\n3.jpg,\n",
    "semicolon": "image,label\n1.jpg,boat;sea\n2.jpg,sea\n3.jpg,\n",
    "blank": "image,tags\n1.jpg,boat  sea\n2.jpg,sea\n3.jpg,\n",
    "quoted comma": 'image,labels\n1.jpg,"boat, sea"\n2.jpg,sea\n3.jpg,""\n',
    "bare comma": "image,labels\n1.jpg,boat,sea\n2.jpg,sea\n3.jpg,\n",
    "a list": """image,labels\n1.jpg,"['boat', 'sea']"\n2.jpg,['sea']\n3.jpg,[]\n""",
    "between semicolons": "\ufeffimage;labels\r\n1.jpg;boat,sea\r\n2.jpg;sea\r\n3.jpg;\r\n",
    "between tabs": "Filename\tTags\n1.jpg\tboat,sea\n2.jpg\tsea\n3.jpg\t\n",
    "labels first": "labels,image\nboat|sea,1.jpg\nsea,2.jpg\n,3.jpg\n",
    "a line for each": "image,labels\n1.jpg,boat\n1.jpg,sea\n2.jpg,sea\n3.jpg,\n",
    "columns": "image,boat,sea\n1.jpg,1,1\n2.jpg,0,1\n3.jpg,0,0\n",
    "columns of words": "boat,file_name,sea\nTRUE,1.jpg,yes\nfalse,2.jpg,Yes\nFalse,3.jpg,no\n",
    "columns of floats": "image;boat;sea\n1.jpg;1.0;1.0\n2.jpg;0.0;1.0\n3.jpg;0.0;0.0\n",
}


@pytest.fixture
def table(tmp_path, write_images):
    """Writes a table beside three images."""
    write_images(tmp_path, "1.jpg", "2.jpg", "3.jpg")

    def write(text: str, name: str = "t.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_forms(table, text):
    read = read_label_table(table(text))
    assert read.classes == ["boat", "sea"]
    assert {path.name: names for path, names in read.labels.items()} == EXPECTED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,boat,sea\n1.jpg,1,2\n", r"line 2: column 'sea': expected 0 or 1, true or false.*, got '2'"),
        ("image,boat,sea\n1.jpg,1,\n", r"line 2: column 'sea': .*got ''"),
        ("image,boat,sea\n1.jpg,1\n", r"line 2: 3 values are needed: 1.jpg,1"),
        ("image,boat,sea\n1.jpg,1,0\n1.jpg,0,0\n", r"line 3: 1.jpg is already in a line above, with other labels"),
        ("image,boat,boat\n1.jpg,1,0\n", r"line 1: column 'boat' is there twice"),
        ("image,boat,\n1.jpg,1,0\n", r"line 1: column 3 has no name"),
        ("image,labels\n9.jpg,sea\n8.jpg,boat\n", r"(?s)2 lines.*line 2: no such file: 9.jpg.*line 3: no such file: 8"),
        ("photo,labels\n1.jpg,sea\n", r"line 1: none of its columns is called image: photo, labels"),
        ("image\n1.jpg\n", r"line 1: there is no column with labels"),
        ("image,labels\n1.jpg,\n", r"no image of this table has a label"),
        ("image,labels\n", r"the table has no rows"),
        ("image,labels\n\n1.jpg,sea\n", r"line 2: empty"),
        ("", r"line 1: none of its columns"),
    ],
)
def test_what_is_wrong_is_named(table, text, said):
    with pytest.raises(InputError, match=said):
        read_label_table(table(text))


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("image,label\n1.jpg,boat|sea\n2.jpg,sea\n", True),
        ("image,labels\n1.jpg,boat sea\n2.jpg,sea\n3.jpg,boat\n", True),
        ('image,label\n1.jpg,"boat,sea"\n2.jpg,sea\n3.jpg,boat\n', True),
        ("image,boat,sea\n1.jpg,1,1\n2.jpg,0,1\n", True),
        ("image,label\n1.jpg,red car\n2.jpg,car\n3.jpg,red\n", False),
        ("image,labels\n1.jpg,traffic light\n2.jpg,stop sign\n3.jpg,traffic light\n", False),
        ('image,label\n1.jpg,"tench, Tinca tinca"\n2.jpg,"crane, bird"\n3.jpg,crane\n', False),
        ("image,label\n1.jpg,1\n2.jpg,0\n", False),
        ("image,label,score\n1.jpg,cat,0.5\n", False),
    ],
)
def test_several_labels_are_seen(table, text, several):
    file = table(text)
    assert has_several_labels(file) == several
    if several:
        with pytest.raises(InputError, match=r"(?s)any number of labels.*fix: +multilabel=true"):
            labelled(file)


def test_classes_of_a_model_and_folders(table):
    file = table(TABLES["bar"])
    assert multilabel_part(file, None, ["sea", "cat", "boat"]).labels.tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 0]]
    with pytest.raises(InputError, match=r"unknown classes: sea"):
        multilabel_part(file, None, ["boat"])
    with pytest.raises(InputError, match=rf"(?s)a folder.*fix: +data={file}"):
        multilabel_part(file.parent, None, ["sea"])


def test_each_class_has_its_share_in_both_parts(monkeypatch, tmp_path):
    labels = np.random.default_rng(0).random((200, 4)) < [0.5, 0.3, 0.1, 0.02]
    images = MultilabelImages(
        paths=[tmp_path / str(i) for i in range(200)], labels=labels.astype(np.float32), classes=list("abcd")
    )
    monkeypatch.setattr("fastitpn.data.classification.multilabel._images", lambda *_: images)
    nothing = LabelTable(classes=[], labels={}, parts={})
    monkeypatch.setattr("fastitpn.data.classification.multilabel.label_parts", lambda _: {"": nothing})
    train, val = multilabel_split("t.csv", val_ratio=0.2, seed=1)
    assert {*train.paths, *val.paths} == {*images.paths}
    assert len(train) + len(val) == 200
    for of_all, of_val in zip(labels.sum(0), val.labels.sum(0), strict=True):
        assert of_val == pytest.approx(0.2 * of_all, abs=max(1, 0.06 * of_all))
    assert 0 < (val.labels.sum(1) == 0).sum() < (train.labels.sum(1) == 0).sum()
    assert val.paths == multilabel_split("t.csv", val_ratio=0.2, seed=1)[1].paths
    assert val.paths != multilabel_split("t.csv", val_ratio=0.2, seed=2)[1].paths


def test_parts(table, write_images):
    write_images(table("").parent, "4.jpg")
    rows = "1.jpg,boat|sea,train\n2.jpg,sea,valid\n3.jpg,,test\n4.jpg,,train\n"
    train, val = multilabel_split(table("image,labels,split\n" + rows))
    assert [path.name for path in train.paths] == ["1.jpg", "4.jpg"]
    assert [path.name for path in val.paths] == ["2.jpg"]
    folder = table("image,labels\n1.jpg,boat|sea\n", "train.csv").parent
    table("image,labels\n2.jpg,sea\n", "valid.csv")
    train, val = multilabel_split(folder)
    assert (train.paths, val.labels.tolist()) == ([folder / "1.jpg"], [[0, 1]])


def test_no_label_to_validate_on(table):
    train, val = table(TABLES["bar"]), table("image,boat\n3.jpg,0\n", "val.csv")
    with pytest.raises(InputError, match=r"(?s)no image to validate on has a label.*val\.csv"):
        multilabel_split(train, val)
