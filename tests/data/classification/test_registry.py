"""A format of classes is one file and one line."""

import pytest

import fastitpn
from fastitpn.data.classification.formats.base import ClassFormat, Oddity
from fastitpn.data.classification.formats.registry import FORMATS
from fastitpn.data.classification.labelled import labelled, labelled_split


def read(folder):
    """The class is the first word of a file's name."""
    by_class = {}
    for path in sorted(folder.glob("*_*.png")):
        by_class.setdefault(path.name.split("_")[0], []).append(path)
    return by_class


def check(folder):
    images = [(path, name) for name, paths in read(folder).items() for path in paths]
    others = [path for path in sorted(folder.glob("*.png")) if "_" not in path.name]
    return images, [Oddity(kind="image without a class", what="no _ in its name", files=(path,)) for path in others]


@pytest.fixture
def named(tmp_path, write_images):
    """Images of a registered format."""
    files = [f"{name}_{number}.png" for name in ("cat", "dog") for number in range(4)]
    write_images(tmp_path / "named", *files, "other.png")
    recognise = lambda data: any(data.glob("*_*.png"))  # noqa: E731
    layout = "FOLDER/cat_1.png, FOLDER/dog_2.png"
    FORMATS.register("names", ClassFormat(title="names", layout=layout, recognise=recognise, read=read, check=check))
    yield tmp_path / "named"
    FORMATS.unregister("names")


def test_training_and_doctor_read_it(named, tmp_path):
    assert labelled(named).classes == ["cat", "dog"]
    assert [len(part) for part in labelled_split(named, val_ratio=0.25)] == [6, 2]
    checked = fastitpn.doctor(named, similar=None, out=tmp_path / "doctor")
    assert (checked.form, checked.counts) == ("names", {"cat": {"": 4}, "dog": {"": 4}})
    assert ("image without a class", (named / "other.png",)) in [(one.kind, one.files) for one in checked.problems]
