"""Checkpoints that are damaged, blown up, or ask for what no training writes: one message, and nothing is made."""

import pickle
import random
import resource
import struct
import zipfile
from pathlib import Path

import pytest
import torch

import fastitpn
from fastitpn.cli.main import main
from fastitpn.errors import InputError
from fastitpn.models.weights.file import read_weights
from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint

CONTENT = {"step": 3, "weights": {f"layer{n}.weight": torch.arange(40.0) + n for n in range(6)}, "classes": ["a", "b"]}


@pytest.fixture
def checkpoint(tmp_path):
    save_checkpoint(tmp_path / "last.ckpt", CONTENT)
    return tmp_path / "last.ckpt"


def same(content) -> bool:
    weights = content["weights"]
    return (
        content["step"] == 3
        and content["classes"] == ["a", "b"]
        and weights.keys() == CONTENT["weights"].keys()
        and all(torch.equal(weights[name], tensor) for name, tensor in CONTENT["weights"].items())
    )


@pytest.mark.parametrize("part", ["table", "anywhere"])
def test_a_flipped_bit_is_seen_or_harmless(checkpoint, part):
    whole, rng = checkpoint.read_bytes(), random.Random(0)
    first = whole.find(b"PK\x01\x02") if part == "table" else 0
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(first, len(whole))] ^= 1 << rng.randrange(8)
        checkpoint.write_bytes(damaged)
        try:
            assert same(load_checkpoint(checkpoint))
        except InputError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("size", [1, 64, 512])
def test_zeroed_or_cut_bytes_are_seen(checkpoint, size):
    whole = checkpoint.read_bytes()
    start = whole.find(torch.arange(40.0).numpy().tobytes()) + 8
    checkpoint.write_bytes(whole[:start] + bytes(b ^ 255 for b in whole[start : start + size]) + whole[start + size :])
    with pytest.raises(InputError, match="damaged or incomplete"):
        load_checkpoint(checkpoint)
    checkpoint.write_bytes(whole[:-size])
    with pytest.raises(InputError, match="damaged or incomplete"):
        load_checkpoint(checkpoint)


def test_a_compressed_archive_is_not_unpacked(tmp_path):
    bomb = tmp_path / "best.ckpt"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("best/data.pkl", "w") as member:
        for _ in range(64):
            member.write(bytes(4 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (load_checkpoint, read_weights, fastitpn.load):
        with pytest.raises(InputError, match="compressed archive"):
            read(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def test_a_large_description_is_not_read(tmp_path):
    file = tmp_path / "best.ckpt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("best/data.pkl", pickle.dumps({}))
        archive.writestr("best/version", "3")
    content = bytearray(file.read_bytes())
    entry = content.find(b"PK\x01\x02")
    struct.pack_into("<II", content, entry + 20, 3 << 30, 3 << 30)  # the table says that it has 3 GiB
    file.write_bytes(content)
    for read in (load_checkpoint, read_weights):
        with pytest.raises(InputError, match="more bytes than it has"):
            read(file)


def altered(run, folder: Path, **changes) -> Path:
    """A copy of a run's checkpoint whose description was altered; a change of "arguments" is of the model's."""
    content = dict(load_checkpoint(run.best_checkpoint))
    model = content["model"]
    content["model"] = {**model, "arguments": {**model["arguments"], **changes.pop("arguments", {})}}
    save_checkpoint(folder / "altered.ckpt", {**content, **changes})
    return folder / "altered.ckpt"


@pytest.mark.parametrize(
    "arguments",
    [
        {"pretrained": True},
        {"pretrained_cfg": {"url": "http://127.0.0.1:9/a.pth", "custom_load": True}},
        {"pretrained_cfg_overlay": {"hf_hub_id": "someone/something"}},
        {"checkpoint_path": "/etc/hostname"},
        {"cache_dir": "/tmp"},
        {"features_only": True},
        {"device": "meta"},
        {"scriptable": True},
    ],
    ids=str,
)
def test_arguments_that_no_training_writes(classifier_run, tmp_path, arguments):
    file = altered(classifier_run, tmp_path, arguments=arguments)
    with pytest.raises(InputError, match=f"training does not write the arguments '{next(iter(arguments))}'"):
        fastitpn.load(file, device="cpu")


@pytest.mark.parametrize("name", ["hf-hub:someone/something", "local-dir:/tmp", "resnet50", ["fastitpn_nano"], None])
def test_a_model_that_is_none_of_ours(classifier_run, tmp_path, name):
    arguments = load_checkpoint(classifier_run.best_checkpoint)["model"]["arguments"]
    file = altered(classifier_run, tmp_path)
    content = {**load_checkpoint(file), "model": {"name": name, "arguments": arguments}}
    save_checkpoint(file, content)
    with pytest.raises(InputError, match=r"no model is named|cannot be read"):
        fastitpn.load(file, device="cpu")


@pytest.mark.parametrize(
    "arguments",
    [
        {"img_size": 64000},
        {"embed_dim": 192_000},
        {"depths": [1, 1, 10**6]},
        {"depths": [1, 1, 900]},
        {"num_classes": 10**9},
        {"pyramid": True, "pyramid_dim": 10**6},
        {"depths": "many"},
        {"num_heads": 0},
    ],
    ids=str,
)
def test_sizes_that_the_file_does_not_have(classifier_run, tmp_path, arguments):
    file = altered(classifier_run, tmp_path, arguments=arguments)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as caught:
        fastitpn.load(file, device="cpu")
    assert str(file) in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB


@pytest.mark.parametrize(
    "changes",
    [
        {"px": 0},
        {"px": 10**9},
        {"px": "224"},
        {"normalisation": {"mean": [0, 0], "std": [1, 1, 1]}},
        {"normalisation": {"mean": [float("nan")] * 3, "std": [1, 1, 1]}},
        {"normalisation": None},
        {"model": None},
        {"classes": None},
        {"classes": 5},
        {"acceleration": {"migration": {"keep_ratio": "all"}}},
    ],
    ids=str,
)
def test_a_description_that_no_training_writes(classifier_run, tmp_path, changes):
    file = altered(classifier_run, tmp_path)
    save_checkpoint(file, {**load_checkpoint(file), **changes})
    with pytest.raises(InputError) as caught:
        fastitpn.load(file, device="cpu")
    assert str(file) in str(caught.value)


@pytest.fixture(scope="module")
def damaged(classifier_run, tmp_path_factory):
    """A run's best checkpoint with one bit of a tensor flipped."""
    content = bytearray(classifier_run.best_checkpoint.read_bytes())
    weight = load_checkpoint(classifier_run.best_checkpoint)["weights"]["stages.2.blocks.3.mlp.fc2.weight"]
    content[content.find(weight.contiguous().numpy().tobytes()) + 1001] ^= 4
    file = tmp_path_factory.mktemp("damaged") / "best.ckpt"
    file.write_bytes(content)
    return file


DOORS = {
    "evaluate": ["evaluate", "{file}", "{data}"],
    "predict": ["predict", "{file}", "{data}"],
    "finetune": ["finetune", "classify", "data={data}", "weights={file}", "out={out}"],
    "inspect": ["inspect", "{file}"],
    "visualize": ["visualize", "tokens", "{file}", "images={data}", "out={out}"],
    "export": ["export", "{file}", "out={out}"],
    "export hub": ["export", "{file}", "format=hub", "out={out}"],
    "export official": ["export", "official", "{file}", "out={out}.pth"],
    "benchmark": ["benchmark", "checkpoint={file}", "out={out}"],
    "app": ["app", "{file}", "port=0"],
}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_takes_a_damaged_checkpoint(damaged, scenes, tmp_path, capsys, door):
    out = tmp_path / "out"
    words = [word.format(file=damaged, data=scenes.val, out=out) for word in DOORS[door]]
    assert main(words) != 0
    said = capsys.readouterr()
    assert "damaged or incomplete: wrong checksum of" in said.err + said.out
    assert not out.exists()
