"""Tar shards of others: a picture and its class as members of the same name."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from fastitpn.data.classification.labelled import labelled_part, labelled_split
from fastitpn.data.images.decode import read_image, upright_size, verify_image
from fastitpn.data.images.readable import check_readable
from fastitpn.data.images.tar_members import find_member
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.errors import InputError
from fastitpn.tasks.diagnosing import open_dataset


def png(grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (grey,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def members(kind: str, count: int, first: int = 0) -> dict[str, bytes]:
    result: dict[str, bytes] = {}
    for number in range(first, first + count):
        label = number % 2
        result[f"a/{number}.png"] = png(number)
        result[f"a/{number}.seg.png"] = png(200)
        result |= {
            "cls": {f"a/{number}.cls": f"{label}\n".encode(), f"a/{number}.txt": b"a caption"},
            "name": {f"a/{number}.cls": b"\xef\xbb\xbf" + ("Hund", "B\u00e4r")[label].encode()},
            "json": {f"a/{number}.json": json.dumps({"key": "x", "label": label}).encode()},
            "plain json": {f"a/{number}.json": str(label).encode()},
        }[kind]
    return result


@pytest.mark.parametrize(
    ("kind", "classes"),
    [("cls", ["0", "1"]), ("name", ["B\u00e4r", "Hund"]), ("json", ["0", "1"]), ("plain json", ["0", "1"])],
)
def test_labels_of_members(tmp_path, kind, classes):
    write_tar(tmp_path / "00.tar", members(kind, 5))
    write_tar(tmp_path / "01.tar", members(kind, 5, first=5))
    train, val = labelled_split(tmp_path, val_ratio=0.2, seed=0)
    assert (train.classes, len(train), len(val)) == (classes, 8, 2)
    check_readable([*train.paths, *val.paths])
    for path, label in zip(train.paths, train.labels, strict=True):
        grey = int(np.asarray(read_image(path))[0, 0, 0])
        assert path == tmp_path / ("00.tar" if grey < 5 else "01.tar") / "a" / f"{grey}.png"
        assert find_member(path)[1].size == len(png(grey))
        expected = ("Hund", "B\u00e4r")[grey % 2] if kind == "name" else str(grey % 2)
        assert (classes[label], upright_size(path)) == (expected, (6, 4))


def test_shards_that_are_named_after_parts(tmp_path, capsys):
    for name, count in (("d-train-00", 6), ("d-train-01", 2), ("d-val-00", 4), ("d-test-00", 2)):
        write_tar(tmp_path / f"{name}.tar", members("cls", count))
    train, val = labelled_split(tmp_path)
    assert (len(train), len(val)) == (8, 4)
    assert "the part test is kept for evaluate" in capsys.readouterr().out
    assert len(labelled_part(tmp_path, "test", ["0", "1"])) == 2
    data = open_dataset(DoctorConfig(data=tmp_path))
    assert data.counts == {"0": {"train": 4, "val": 2, "test": 1}, "1": {"train": 4, "val": 2, "test": 1}}


def test_samples_without_a_class_are_named(tmp_path):
    content = members("cls", 4)
    del content["a/2.cls"]
    write_tar(tmp_path / "00.tar", content)
    with pytest.raises(InputError) as caught:
        labelled_split(tmp_path)
    assert "00.tar/a/2.png: no class in a member .cls" in str(caught.value)


def test_shards_without_classes_are_for_pretraining(tmp_path):
    write_tar(tmp_path / "00.tar", {f"{number}.png": png(number) for number in range(4)})
    with pytest.raises(InputError, match="no images in this folder"):
        labelled_split(tmp_path)


def test_a_damaged_member_is_named(tmp_path):
    content = members("cls", 4)
    content["a/1.png"] = content["a/1.png"][:40]
    content["a/3.png"] = b"no image"
    write_tar(tmp_path / "00.tar", content)
    for name in ("1.png", "3.png"):
        with pytest.raises(InputError, match="cannot read this image") as caught:
            verify_image(tmp_path / "00.tar" / "a" / name)
        assert caught.value.where == tmp_path / "00.tar" / "a" / name
    with pytest.raises(InputError):
        read_image(tmp_path / "00.tar" / "a" / "9.png")
