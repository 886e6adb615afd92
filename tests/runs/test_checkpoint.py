import os
import zipfile

import numpy as np
import pytest
import torch
from full_disk import FullDisk

from fastitpn.config import Config
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import FORMAT, latest_valid, load_checkpoint, save_checkpoint, to_cpu
from fastitpn.runs.run_directory import prepare

CONTENT = {"step": 3, "weights": {"a": torch.arange(1000.0), "n": torch.tensor(2)}, "classes": None, "mean": [0.5, 1]}


def test_round_trip(tmp_path):
    save_checkpoint(tmp_path / "last.ckpt", CONTENT)
    loaded = load_checkpoint(tmp_path / "last.ckpt")
    assert loaded.pop("format") == FORMAT
    assert torch.equal(loaded["weights"]["a"], CONTENT["weights"]["a"])
    assert {key: loaded[key] for key in ("step", "classes", "mean")} == {"step": 3, "classes": None, "mean": [0.5, 1]}
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_a_tensor_that_occurs_twice_is_stored_once(tmp_path):
    tensor = torch.zeros(100_000)
    save_checkpoint(tmp_path / "a.ckpt", {"weights": {"a": tensor}, "training": {"a": tensor}})
    assert (tmp_path / "a.ckpt").stat().st_size < 1.1 * tensor.nbytes


def test_checksums_are_those_that_pytorch_writes(tmp_path):
    content = {"weights": torch.randn(3000, 1000), "none": torch.zeros(0), "few": [torch.arange(3), "text"]}
    save_checkpoint(tmp_path / "a.ckpt", content)
    assert torch.serialization.get_crc32_options()
    with (tmp_path / "b.ckpt").open("wb") as file:
        torch.save({"format": FORMAT, **content}, file)
    ours, theirs = (zipfile.ZipFile(tmp_path / name) for name in ("a.ckpt", "b.ckpt"))
    assert ours.testzip() is None
    for own, other in zip(ours.infolist(), theirs.infolist(), strict=True):
        if not own.filename.endswith("serialization_id"):  # made of the checksums that PyTorch has at that time
            assert (own.filename, own.CRC, own.file_size) == (other.filename, other.CRC, other.file_size)
    differing = sum(a != b for a, b in zip(*((tmp_path / n).read_bytes() for n in ("a.ckpt", "b.ckpt")), strict=True))
    assert differing < 60  # that member, and its checksum in two places


def test_one_generation_before_is_kept(tmp_path):
    for step in range(3):
        save_checkpoint(tmp_path / "last.ckpt", {"step": step}, previous=tmp_path / "previous.ckpt")
    assert load_checkpoint(tmp_path / "last.ckpt")["step"] == 2
    assert load_checkpoint(tmp_path / "previous.ckpt")["step"] == 1
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "previous.ckpt"]


@pytest.mark.parametrize(
    ("value", "kind"), [(np.float64(1), "float64"), (zipfile.Path, "type"), ({1}, "set"), (np.zeros(2), "ndarray")]
)
def test_only_what_loads_safely_is_written(tmp_path, value, kind):
    with pytest.raises(TypeError, match=rf"checkpoint\['metrics'\]\['top1'\]\[0\] is a {kind}, which cannot be loaded"):
        save_checkpoint(tmp_path / "a.ckpt", {"metrics": {"top1": [value]}})
    assert os.listdir(tmp_path) == []


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    place = data.find(torch.arange(1000.0).numpy().tobytes()) + 400
    data[place] ^= 1
    path.write_bytes(data)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def overwrite(path):
    path.write_bytes(b"not a checkpoint")


DAMAGES = [flip_a_bit, cut_off, empty, overwrite]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_and_the_one_before_is_named(tmp_path, damage):
    for _ in range(2):
        save_checkpoint(tmp_path / "last.ckpt", CONTENT, previous=tmp_path / "previous.ckpt")
    damage(tmp_path / "last.ckpt")
    with pytest.raises(InputError, match=r"last\.ckpt is damaged or incomplete") as caught:
        load_checkpoint(tmp_path / "last.ckpt")
    assert caught.value.fix == f"use {tmp_path / 'previous.ckpt'}"


@pytest.mark.parametrize("damage", DAMAGES)
def test_going_back_to_the_one_before_is_a_warning(tmp_path, caplog, damage):
    for step in range(2):
        save_checkpoint(tmp_path / "last.ckpt", {**CONTENT, "step": step}, previous=tmp_path / "previous.ckpt")
    damage(tmp_path / "last.ckpt")
    path, content = latest_valid(tmp_path)
    assert (path, content["step"]) == (tmp_path / "previous.ckpt", 0)
    (record,) = caplog.records
    assert "last.ckpt is damaged" in record.message
    assert f"going back to {tmp_path / 'previous.ckpt'}" in record.message


def test_latest_valid_of_nothing_and_of_nothing_valid(tmp_path):
    assert latest_valid(tmp_path) is None
    save_checkpoint(tmp_path / "previous.ckpt", CONTENT)
    assert latest_valid(tmp_path)[0].name == "previous.ckpt"
    cut_off(tmp_path / "previous.ckpt")
    with pytest.raises(InputError, match=r"previous\.ckpt is damaged"):
        latest_valid(tmp_path)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"format": FORMAT, "x": os.system}, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=r"a\.ckpt is damaged or incomplete: Weights only load failed"):
        load_checkpoint(tmp_path / "a.ckpt")


def test_files_that_are_something_else(tmp_path):
    torch.save({"model": {}}, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="not a checkpoint of a fastitpn run"):
        load_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "b.ckpt")


def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path, monkeypatch):
    for step in range(2):
        save_checkpoint(tmp_path / "last.ckpt", {**CONTENT, "step": step}, previous=tmp_path / "previous.ckpt")
    with monkeypatch.context() as patch:
        patch.setattr("fastitpn.files.PatientFile", FullDisk)
        with pytest.raises(InputError, match=r"last\.ckpt could not be written: the disk is full") as caught:
            save_checkpoint(tmp_path / "last.ckpt", CONTENT, previous=tmp_path / "previous.ckpt")
    assert "make room" in caught.value.fix
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "previous.ckpt"]
    assert [load_checkpoint(tmp_path / name)["step"] for name in ("last.ckpt", "previous.ckpt")] == [1, 0]


def test_copies_keep_values_and_structure():
    copy = to_cpu({"a": (1, [None, True, "x"]), "t": torch.nn.Parameter(torch.ones(2))})
    assert copy["a"] == (1, [None, True, "x"])
    assert type(copy["t"]) is torch.Tensor


def test_the_last_few_are_kept_and_the_newest_whole_one_is_used(tmp_path, caplog):
    run = prepare(tmp_path, Config())
    run.keep_checkpoints = 4
    for step in range(1, 7):
        run.save_last({"step": step})
    folder = tmp_path / "checkpoints"
    assert {path.name: load_checkpoint(path)["step"] for path in folder.iterdir()} == {
        "last.ckpt": 6,
        "previous.ckpt": 5,
        "previous-2.ckpt": 4,
        "previous-3.ckpt": 3,
    }
    for name in ("last.ckpt", "previous.ckpt"):
        (folder / name).write_bytes((folder / name).read_bytes()[:100])
    path, content = latest_valid(folder)
    assert (path.name, content["step"]) == ("previous-2.ckpt", 4)
    assert "last.ckpt is damaged" in caplog.text
    assert "going back to" in caplog.text
    run.keep_checkpoints = 2
    run.save_last({"step": 7})
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "previous.ckpt"]
