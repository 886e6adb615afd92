"""`fastitpn doctor` on what this package wrote: each damaged file is named, with what to type."""

import gzip
import json
import shutil

import pytest
import torch

import fastitpn
from fastitpn.cli.main import main
from fastitpn.data.feature_shards import FeatureIndex, FeatureShards, write_index, write_shard
from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.runs import hub_folder
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.data_files import DATA, read_listing
from fastitpn.runs.exported_folder import DESCRIPTION, FORMAT, checksums, read_exported_folder
from fastitpn.runs.hub_folder import read_hub_folder, write_hub_folder
from fastitpn.sums import SUMS, difference, read, record


def flip(path, place=-1):
    content = bytearray(path.read_bytes())
    content[place if place >= 0 else len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def run(classifier_run, tmp_path):
    return shutil.copytree(classifier_run.directory, tmp_path / "run")


def doctor(path, tmp_path, capsys):
    code = main(["doctor", str(path), f"out={tmp_path / 'doctor'}"])
    rows = [json.loads(line) for line in (tmp_path / "doctor" / "findings.jsonl").read_text().splitlines()]
    return code, [row["files"][0] for row in rows], capsys.readouterr()


def test_a_whole_run(run, tmp_path, capsys):
    code, damaged, said = doctor(run, tmp_path, capsys)
    assert (code, damaged, said.err) == (0, [], "")
    for name in ("config.yaml", "data.json.gz", "metrics.jsonl", "result.json", "report.html", "checkpoints/best.ckpt"):
        assert f"{name} " in said.out
    assert "nothing is wrong" in said.out
    assert "damaged" not in said.out


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("config.yaml", "read its keys from a checkpoint: fastitpn inspect "),
        ("data.json.gz", "put it back"),
        ("metrics.jsonl", "the weights do not depend on it"),
        ("result.json", "put it back"),
        ("report.html", "writes another"),
        ("checkpoints/best.ckpt", "use {run}/checkpoints/last.ckpt"),
        ("checkpoints/last.ckpt", "train again, with weights={run}/checkpoints/best.ckpt"),
    ],
)
def test_a_flipped_bit(run, tmp_path, capsys, name, what):
    flip(run / name)
    code, damaged, said = doctor(run, tmp_path, capsys)
    assert (code, damaged) == (1, [str(run / name)])
    assert said.err == "1 problem: 1 x damaged file\n"
    assert f"{name}: " in said.out
    assert what.format(run=run) in said.out


def test_of_a_run_that_stopped(run, tmp_path, capsys):
    (run / "result.json").unlink()
    (run / SUMS).unlink()  # as of an earlier version
    shutil.copy(run / "checkpoints" / "last.ckpt", run / "checkpoints" / "previous.ckpt")
    flip(run / "checkpoints" / "last.ckpt")
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "lo')
    code, damaged, said = doctor(run, tmp_path, capsys)
    assert (code, damaged) == (1, [str(run / "metrics.jsonl"), str(run / "checkpoints" / "last.ckpt")])
    assert "is no JSON" in said.out
    assert f"last.ckpt: fastitpn finetune classify recipe={run}/config.yaml out={run} resumes from previous" in said.out


def test_a_checkpoint_of_another_run(run, tmp_path, capsys):
    (run / "run.json").write_text('{"id": "another"}')
    record(run, "run.json")
    assert doctor(run, tmp_path, capsys)[:2] == (
        1,
        [str(run / "checkpoints" / "best.ckpt"), str(run / "checkpoints" / "last.ckpt")],
    )


def test_a_checkpoint_by_itself(run, tmp_path, capsys):
    path = run / "checkpoints" / "best.ckpt"
    assert doctor(path, tmp_path, capsys)[:2] == (0, [])
    flip(path)
    assert doctor(path, tmp_path, capsys)[:2] == (1, [str(path)])


def test_an_export(tmp_path, capsys):
    folder = tmp_path / "export"
    folder.mkdir()
    for name in ("model.xml", "model.bin"):
        (folder / name).write_bytes(b"graph")
    about = {"format": FORMAT, "runtime": "openvino", "trained": None, "file": "model.xml"}
    write_text(folder / DESCRIPTION, json.dumps({**about, **checksums(folder, "model.xml")}))
    assert doctor(folder, tmp_path, capsys)[:2] == (0, [])
    flip(folder / "model.bin")
    code, damaged, said = doctor(folder, tmp_path, capsys)
    assert (code, damaged) == (1, [str(folder / "model.bin")])
    assert "fastitpn export CHECKPOINT makes it anew" in said.out


def test_a_folder_for_timm(run, tmp_path, capsys):
    folder = tmp_path / "hub"
    folder.mkdir()
    content = load_checkpoint(run / "checkpoints" / "best.ckpt")
    write_hub_folder(folder, content, [name for name in content["weights"] if not name.startswith("head.")])
    whole = read_hub_folder(folder)["weights"]
    assert all(torch.equal(whole[name], tensor) for name, tensor in content["weights"].items())
    assert doctor(folder, tmp_path, capsys)[:2] == (0, [])
    flip(folder / hub_folder.HEAD_FILE, len((folder / hub_folder.HEAD_FILE).read_bytes()) - 2)
    with pytest.raises(InputError, match=r"head\.safetensors is not what was written"):
        read_hub_folder(folder)
    assert doctor(folder, tmp_path, capsys)[:2] == (1, [str(folder)])


def test_stored_features(tmp_path, capsys):
    folder = tmp_path / "features"
    index = FeatureIndex(teacher="timm:a", px=32, side=2, dim=3, per_shard=2, images=("a", "b", "c"))
    write_index(folder, index)
    for shard in range(2):
        write_shard(folder, shard, torch.rand(index.shape(shard)))
    assert doctor(folder, tmp_path, capsys)[:2] == (0, [])
    flip(folder / "00001.npy", 140)
    (folder / "00000.npy").unlink()
    code, damaged, said = doctor(folder, tmp_path, capsys)
    assert (code, damaged) == (1, [str(folder / "00000.npy"), str(folder / "00001.npy")])
    assert "it is missing" in said.out
    assert "fastitpn pretrain cache-features" in said.out


def test_sums_of_a_file_that_grows(tmp_path):
    (tmp_path / "a").write_text("one")
    record(tmp_path, "a", "none")
    assert difference(tmp_path / "a", read(tmp_path)["a"]) is None
    (tmp_path / "a").write_text("one two")
    assert difference(tmp_path / "a", read(tmp_path)["a"]) == "it has 7 bytes and had 3"
    record(tmp_path, forget=("a",))
    assert read(tmp_path) == {}
    (tmp_path / SUMS).write_text("{")
    assert read(tmp_path) is None


@pytest.mark.parametrize("content", [b"{", b"\xff", b"", b"[1]x", b"[1]"], ids=repr)
def test_figures_that_cannot_be_read(run, content):
    (run / "result.json").write_bytes(content)
    with pytest.raises(InputError, match=r"the final metrics of the run cannot be read(.*\n)*.*result\.json"):
        repr(fastitpn.Run(run))


def test_features_whose_header_is_damaged(tmp_path):
    index = FeatureIndex(teacher="timm:a", px=32, side=2, dim=3, per_shard=2, images=("a",))
    write_index(tmp_path, index)
    write_shard(tmp_path, 0, torch.rand(index.shape(0)))
    content = (tmp_path / "00000.npy").read_bytes()
    (tmp_path / "00000.npy").write_bytes(content.replace(b"}", b"(", 1))
    with pytest.raises(InputError, match="the features are incomplete: 1 of 1 files are missing or damaged"):
        FeatureShards(tmp_path, ("a",), side=2)


def test_in_python(run, tmp_path):
    flip(run / "report.html")
    checked = fastitpn.doctor(run, out=tmp_path / "doctor")
    assert (checked.form, checked.clean, len(checked.problems)) == ("run", False, 1)


DEEP = b"[" * 100_000


@pytest.mark.parametrize("name", ["result.json", "config.yaml"])
def test_of_a_run_a_file_of_another_kind(run, name):
    for content in (DEEP, b"[1, 2]"):
        (run / name).write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            repr([fastitpn.Run(run).config, fastitpn.Run(run).metrics])


def test_rows_of_the_log_that_are_none(run):
    whole = fastitpn.Run(run).history
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(b'[]\n{}\n\xff\n{"step": "a", "split": "val"}\n{"step": 1, "split": null}\n' + DEEP + b"\n")
    assert fastitpn.Run(run).history == whole


@pytest.mark.parametrize(
    "content",
    [
        DEEP,
        b"[]",
        b"1",
        b"{}",
        b'{"format": 1}',
        b'{"format": "fastitpn-export-1", "file": [], "sha256": "a", "runtime": "onnx", "trained": null}',
        b'{"format": "fastitpn-export-1", "file": "../a", "sha256": "a", "runtime": "onnx", "trained": null}',
        b'{"format": "fastitpn-export-1", "file": "a", "sha256": "a", "runtime": "a", "trained": 1, "more_files": 1}',
    ],
    ids=lambda content: content[-40:].decode(),
)
def test_the_description_of_an_export_that_is_none(content, tmp_path):
    (tmp_path / DESCRIPTION).write_bytes(content)
    with pytest.raises(InputError):
        read_exported_folder(tmp_path)
    (tmp_path / DESCRIPTION).rename(tmp_path / hub_folder.ABOUT)
    with pytest.raises(InputError):
        read_hub_folder(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"side": "2"}, {"per_shard": 0}, {"dim": -3}, {"images": [1]}, {"images": None}, {"px": 1 << 40}],
    ids=repr,
)
def test_an_index_of_features_with_other_values(change, tmp_path):
    index = FeatureIndex(teacher="timm:a", px=32, side=2, dim=3, per_shard=2, images=("a",))
    write_index(tmp_path, index)
    content = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(InputError, match="there are no stored features here"):
        FeatureShards(tmp_path, ("a",), side=2)


@pytest.mark.parametrize("content", [DEEP, b"[]", b'{"a": "1"}', b'{"a": [1]}', b" " * 2000], ids=len)
def test_a_list_of_data_that_is_none(content, tmp_path, monkeypatch):
    monkeypatch.setattr("fastitpn.runs.data_files._MOST_BYTES", 1000)
    (tmp_path / DATA).write_bytes(gzip.compress(content))
    assert read_listing(tmp_path) is None
