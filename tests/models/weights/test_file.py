"""Reading weights: what they are, and that nothing in them ever runs."""

import argparse
import gzip
import io
import json
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import CASES, nano, reference_classifier, reference_pretraining, small_model
from safetensors.torch import save_file
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.weights.arrays import NumberType, StoredArray
from fastitpn.models.weights.file import read_weights
from fastitpn.models.weights.official_names import from_official_names
from fastitpn.models.weights.stored import Refused

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return reference_classifier("meanpool").state_dict()


# ------------------------------------------------------------------ the forms of a file


def save_training_file(content: Any, path: Path) -> None:
    """As the published training writes: beside the weights there are an optimizer's state and the command line."""
    extra = {"epoch": 3, "args": argparse.Namespace(lr=1e-4, model="base"), "skipped": {1, 2}, "shape": torch.Size([2])}
    torch.save({**content, **extra}, path)


FORMS: dict[str, Callable[[State, Path], None]] = {
    "bare.pth": lambda state, path: torch.save(state, path),
    "bare in the old format.pt": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "under model.pt": lambda state, path: save_training_file({"model": state}, path),
    "under module.pt": lambda state, path: save_training_file({"module": state}, path),
    "under state_dict.ckpt": lambda state, path: save_training_file({"state_dict": state}, path),
    "from DistributedDataParallel.bin": lambda state, path: torch.save(
        {"model": {f"module.{name}": tensor for name, tensor in state.items()}}, path
    ),
    "compiled, in parallel.pth": lambda state, path: torch.save(
        {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()}, path
    ),
    "in a tracker.pth": lambda state, path: torch.save(
        {f"encoder.body.{name}": tensor for name, tensor in state.items()}, path
    ),
    "plain.safetensors": lambda state, path: save_file(state, path),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form: str, state: State, tmp_path: Path) -> None:
    expected = read_weights(state)
    FORMS[form](state, tmp_path / form)
    for source in (tmp_path / form, str(tmp_path / form)):
        file = read_weights(source)
        assert file.source == str(tmp_path / form)
        assert file.tensors.keys() == expected.tensors.keys()
        assert all(torch.equal(tensor, expected.tensors[name]) for name, tensor in file.tensors.items())


def test_our_checkpoint_and_run_directory(tmp_path: Path) -> None:
    model = small_model()
    checkpoint = {
        "format": "fastitpn-1",
        "task": "classify",
        "classes": ["cat", "dog"],
        "weights": model.state_dict(),
        "training": {"weights": {}},
    }
    (tmp_path / "checkpoints").mkdir()
    torch.save({**checkpoint, "task": "last"}, tmp_path / "checkpoints" / "last.ckpt")
    assert read_weights(tmp_path).checkpoint["task"] == "last"
    torch.save(checkpoint, tmp_path / "checkpoints" / "best.ckpt")
    file = read_weights(tmp_path)
    assert file.checkpoint == {"format": "fastitpn-1", "task": "classify", "classes": ["cat", "dog"]}
    assert file.source.endswith("best.ckpt")
    assert all(torch.equal(file.tensors[name], tensor) for name, tensor in model.state_dict().items())


# ------------------------------------------------------------------ what they are


@pytest.mark.parametrize("case", CASES)
def test_arguments_build_the_model_of_the_file(case: str) -> None:
    file = read_weights(reference_classifier(case).state_dict())
    assert file.kind == "classifier"
    arguments = {"img_size": (64, 96), **file.arguments()}  # no square table, no size
    model = FastITPN(embed_dim=file.embed_dim, depths=file.depths, num_heads=2, num_classes=10, **arguments)
    assert {name: p.shape for name, p in model.named_parameters()} == {
        name: tensor.shape for name, tensor in file.tensors.items()
    }


@pytest.mark.parametrize(("fpn_dim", "fpn_hidden", "teacher_dim"), [(32, 85, 24), (32, 128, 8), (64, 170, 24)])
def test_pretraining_widths_are_read_off_the_tensors(fpn_dim: int, fpn_hidden: int, teacher_dim: int) -> None:
    reference = reference_pretraining(fpn_dim=fpn_dim, fpn_hidden=fpn_hidden, teacher_dim=teacher_dim)
    file = read_weights(reference.state_dict())
    assert file.kind == "pre-training"
    assert (file.pyramid_dim, file.pyramid_hidden, file.teacher_dim) == (fpn_dim, fpn_hidden, teacher_dim)
    assert (file.px, file.in_chans, file.num_classes, file.pyramid_depth) == (64, 3, 0, 1)
    assert file.num_parameters == sum(p.numel() for p in reference.parameters())
    model = FastITPN(embed_dim=64, depths=(1, 1, 2), num_heads=2, num_classes=0, global_pool="", **file.arguments())
    assert (model.pyramid.dim, model.pyramid.hidden) == (fpn_dim, fpn_hidden)


def test_named_sizes_are_recognised() -> None:
    file = read_weights(nano(num_classes=3, in_chans=6).state_dict())
    assert (file.model, file.depths, file.num_classes, file.in_chans) == ("fastitpn_nano", (1, 1, 6), 3, 6)
    headless = read_weights(nano(num_classes=0, global_pool="").state_dict())
    assert (headless.kind, headless.num_classes, headless.teacher_dim) == ("trunk", 0, None)
    assert read_weights(small_model().state_dict()).model is None


# ------------------------------------------------------------------ files that are wrong


@pytest.mark.parametrize("name", ["absent.pth", "absent", "folder/absent.safetensors"])
def test_no_such_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"no such weights file\n  where: *{tmp_path / name}"):
        read_weights(tmp_path / name)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"this folder holds no weights\n(.*\n)*.*checkpoints/best\.ckpt"):
        read_weights(tmp_path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.98])
def test_truncated(form: str, kept: float, state: State, tmp_path: Path) -> None:
    path = tmp_path / form
    FORMS[form](state, path)
    path.write_bytes(path.read_bytes()[: kept if isinstance(kept, int) else int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=r"the file is damaged or no PyTorch file \(.+\)\n  where: ") as caught:
        read_weights(path)
    assert "expected:" in str(caught.value)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\0" * 4096,
        b"<!DOCTYPE html><html>Not found</html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"PK",
        b"import torch\nfrom pathlib import Path, PurePath\n",
    ],
)
@pytest.mark.parametrize("name", ["x.pth", "x.safetensors", "x"])
def test_junk(junk: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(junk)
    with pytest.raises(InputError, match=r"the file is damaged or no PyTorch file"):
        read_weights(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"\(it is empty\)\n(.*\n)*  fix: *get the file again"),
        (b"<html>quota exceeded</html>", r"\(it is a web page\)\n(.*\n)*  fix: *open it in a browser"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            r"\(it is a pointer of Git LFS\)\n(.*\n)*  fix: *git lfs pull",
        ),
        (b'{"weights": 1}', r"\(it is a text file\)"),
        (gzip.compress(b"abc", mtime=0), r"\(it is packed\)\n(.*\n)*  fix: *unpack it"),
        (pickle.dumps({"a": 1}), r"\(it does not begin as files of PyTorch do\)"),
    ],
)
def test_what_is_no_file_of_weights_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "x.pth")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_of_files(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"weights")
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
            archive.write(tmp_path / "a.pth", "folder/a.pth")
    else:
        with tarfile.open(tmp_path / "x.pth", "w:gz") as packed:
            packed.add(tmp_path / "a.pth", "folder/a.pth")
    message = r"this is an archive of other files \(folder/a\.pth\)(.*\n)*  fix: *unpack it, and give folder/a\.pth"
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "x.pth")


def test_formats_are_told_by_their_bytes(state: State, tmp_path: Path) -> None:
    save_file(state, tmp_path / "x.pth")
    torch.save(state, tmp_path / "x.safetensors")
    for name in ("x.pth", "x.safetensors"):
        assert read_weights(tmp_path / name).tensors.keys() == read_weights(state).tensors.keys()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(1 << 40),
        torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, device="meta"),
    ],
    ids=["expanded", "sparse", "meta"],
)
@pytest.mark.filterwarnings("ignore")  # of PyTorch, on kinds of tensors that it gives up
def test_tensors_that_are_not_stored_number_by_number(tensor: Tensor, state: State, tmp_path: Path) -> None:
    torch.save({**state, "blocks.4.gamma_1": tensor}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"blocks\.4\.gamma_1 is not stored number by number"):
        read_weights(tmp_path / "x.pth")


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_arrays_of_numpy_are_taken(protocol: int, zipped: bool, state: State, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in state.items()}
    arrays["head.weight"] = np.asfortranarray(arrays["head.weight"])
    beside = {
        "text": np.array(["x"]),
        "objects": np.array([None]),
        "none": np.zeros((0, 3), "f4"),
        "best": np.float64(1),
    }
    form: Any = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": zipped}
    torch.save({"model": arrays, **beside}, tmp_path / "x.pth", **form)
    file = read_weights(tmp_path / "x.pth")
    assert file.notes == ("passed over, and not run: objects of numpy._core.multiarray.scalar",)
    expected, _ = from_official_names(state)
    assert file.tensors.keys() == expected.keys()
    assert all(torch.equal(file.tensors[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("array", "reason"),
    [(np.zeros(3, ">f4"), "its numbers are stored in big-endian order")],
)
def test_arrays_that_are_not_taken(array: Any, reason: str, tmp_path: Path) -> None:
    torch.save({"model": {"patch_embed.proj.weight": array}}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=f"the file is not read: {reason}"):
        read_weights(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "state",
    [
        None,
        (1, (3,), "f4"),
        (1, (4,), None, False, b"1234" * 3),
        (1, (-1, -3), None, False, b"1234" * 3),
        (1, (1 << 62, 4, 0), None, False, b"1"),
        (1, [3], None, False, b"1234" * 3),
    ],
)
def test_arrays_that_lie(state: Any) -> None:
    numbers = NumberType("numpy.dtype", code="f4", state=(3, "<"))
    if state is not None and len(state) == 5:
        state = (*state[:2], numbers, *state[3:])
    with pytest.raises(Refused, match="it describes an array"):
        StoredArray("array", state=state).tensor()


def test_random_damage_never_escapes_as_another_error(state: State, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    small = {name: tensor.flatten()[:2].clone() for name, tensor in state.items()}
    for form in ("bare.pth", "bare in the old format.pt", "plain.safetensors"):
        FORMS[form](small, tmp_path / form)
        whole = (tmp_path / form).read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            for place in torch.randint(min(len(data), 3000), (3,), generator=generator).tolist():
                data[place] = int(torch.randint(256, (), generator=generator))
            (tmp_path / form).write_bytes(data)
            with pytest.raises(InputError):  # what still can be read has too small merges
                read_weights(tmp_path / form)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "the file holds a list, not a state dict"),
        (torch.zeros(3), "the file holds a Tensor, not a state dict"),
        ({}, r"no tensors found\n(.*\n)*.*it is empty"),
        ({"net": {"a": torch.zeros(1)}, "epoch": 3}, r"not Fast-iTPN weights\n(.*\n)*.*found net\.a"),
        ({"model": {"note": "nothing"}}, "no tensors found"),
        ({"format": "fastitpn-1", "task": "classify"}, "no tensors found"),
        ({"layer1.weight": torch.zeros(1)}, r"not Fast-iTPN weights\n(.*\n)*.*patch_embed.*found layer1\.weight"),
    ],
)
def test_other_contents(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "x.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none(value: float, state: State) -> None:
    broken = {name: tensor.clone() for name, tensor in state.items()}
    broken["blocks.4.attn.k_proj.weight"][3, 5] = value
    with pytest.raises(InputError, match=r"NaN or infinite .* in blocks\.4\.attn\.k_proj\.weight\n(.*\n)*.*earlier"):
        read_weights(broken)


def test_hivit_in_a_tracker_is_told_by_name() -> None:
    """Two blocks for each of iTPN's in the stem, merges that are matrices, and the tracker's own tables."""
    shapes = {
        "absolute_pos_embed": (1, 16, 64),
        "patch_embed.proj.weight": (96, 3, 4, 4),
        "patch_embed.norm.weight": (96,),
        "blocks.3.norm2.weight": (96,),
        "blocks.4.reduction.weight": (192, 384),
        "blocks.8.norm2.weight": (192,),
        "blocks.9.reduction.weight": (384, 768),
        "blocks.29.mlp.fc1.weight": (1536, 384),
        "pos_embed_x": (1, 16, 64),
        "norm_.weight": (64,),
    }
    net = {f"backbone.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    file = read_weights({"net": net, "epoch": 3})
    assert (file.model, file.depths, file.client) == ("hivit_small", (4, 4, 20), "AQATrack")
    assert file.parts["absolute_pos_embed"] == "positions of pre-training, in whose place the tracker has its own"
    assert file.origin["pos_embed"] == ("pos_embed_x",)
    assert file.origin["norm.weight"] == ("norm_.weight",)


def test_the_earlier_model_itpn_is_told_by_its_merges() -> None:
    """Its merges are Linear layers and its position table has another name (layout of the published classifier)."""
    shapes = {
        "absolute_pos_embed": (1, 16, 64),
        "patch_embed.proj.weight": (16, 3, 4, 4),
        "patch_embed.norm.weight": (16,),
        "blocks.0.gamma_2": (16,),
        "blocks.0.mlp.fc1.weight": (48, 16),
        "blocks.1.norm.weight": (64,),
        "blocks.1.reduction.weight": (32, 64),
        "blocks.2.mlp.fc1.weight": (96, 32),
        "blocks.3.reduction.weight": (64, 128),
        "blocks.4.attn.qkv.weight": (192, 64),
        "blocks.4.attn.relative_position_bias_table": (49, 2),
    }
    file = read_weights({name: torch.zeros(shape) for name, shape in shapes.items()})
    assert (file.family, file.depths, file.px) == ("itpn", (1, 1, 1), 64)


# ------------------------------------------------------------------ files that want to run code


class Attack:
    """Unpickled in the ordinary way, it makes a folder: the sign that code of the file was run."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def malicious_zip(attack: Attack, state: State, path: Path) -> None:
    torch.save({**state, "extra": attack}, path)


def malicious_old_format(attack: Attack, state: State, path: Path) -> None:
    torch.save({**state, "extra": attack}, path, _use_new_zipfile_serialization=False)


def malicious_pickle(protocol: int) -> Callable[[Attack, State, Path], None]:
    return lambda attack, state, path: path.write_bytes(pickle.dumps({"weight": attack}, protocol=protocol))


def malicious_member(attack: Attack, state: State, path: Path) -> None:
    """A zip whose tensors are in order and whose pickle is not PyTorch's."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickle.dumps(attack, protocol=2) if name.endswith("data.pkl") else old.read(name))


ATTACKS = [
    pytest.param(malicious_zip, id="zip"),
    pytest.param(malicious_old_format, id="old format"),
    *(pytest.param(malicious_pickle(protocol), id=f"pickle protocol {protocol}") for protocol in (0, 2, 4, 5)),
    pytest.param(malicious_member, id="exchanged pickle"),
]


@pytest.mark.parametrize("name", ["x.pth", "x.ckpt", "x.safetensors"])
@pytest.mark.parametrize("write", ATTACKS)
def test_nothing_in_a_file_is_run(
    write: Callable[[Attack, State, Path], None],
    name: str,
    state: State,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the tensors are in order they are read, and a note says what was passed over; else the file is refused."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    canary = tmp_path / "canary"
    write(Attack(canary), state, tmp_path / name)
    if write in (malicious_zip, malicious_old_format):
        file = read_weights(tmp_path / name)
        assert file.tensors.keys() == read_weights(state).tensors.keys()
        assert re.fullmatch(r"passed over, and not run: objects of (posix|nt)\.mkdir", file.notes[0])
    else:
        message = r"refused to load: the file wants to call '\w+\.mkdir'|the file is damaged or no PyTorch file"
        with pytest.raises(InputError, match=message) as caught:
            read_weights(tmp_path / name)
        assert "fix:" in str(caught.value)
    assert not canary.exists()


def test_the_canary_sings_when_a_file_is_opened_carelessly(tmp_path: Path) -> None:
    malicious_zip(Attack(tmp_path / "canary"), {}, tmp_path / "x.pth")
    torch.load(tmp_path / "x.pth", weights_only=False)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("place", ["a tensor", "a number of an optimiser"])
def test_a_changed_byte_is_found_by_its_checksum(place: str, state: State, tmp_path: Path) -> None:
    moments = torch.full((1000,), 0.123)
    torch.save({"model": state, "optimizer": {"a": moments}}, tmp_path / "a.pt")
    content = bytearray((tmp_path / "a.pt").read_bytes())
    tensor = moments if place == "a number of an optimiser" else state["blocks.4.mlp.w1.weight"]
    content[content.index(tensor.numpy().tobytes()) + 5] ^= 1
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged or incomplete: wrong checksum of a/data/\d+"):
        read_weights(tmp_path / "a.pt")


def test_a_file_without_checksums(state: State, tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_weights(tmp_path / "a.pt").depths == (1, 1, 2)


# ---------------------------------------------------------------------- where weights lie


def save_shards(state: State, folder: Path) -> list[str]:
    """Weights in two files without an index."""
    names, half = list(state), len(state) // 2
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for file, part in zip(files, (names[:half], names[half:]), strict=True):
        save_file({name: state[name] for name in part}, folder / file)
    return files


@pytest.mark.parametrize("form", ["one file", "shards", "index"])
def test_a_folder_stands_for_the_weights_in_it(form: str, state: State, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("weights")
    if form == "one file":
        torch.save(state, tmp_path / "any_name.pth")
    else:
        files = save_shards(state, tmp_path)
        if form == "index":
            index = {name: files[place >= len(state) // 2] for place, name in enumerate(state)}
            (tmp_path / "own.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert read_weights(tmp_path).tensors.keys() == read_weights(state).tensors.keys()


def test_a_folder_of_several_files_names_them(state: State, tmp_path: Path) -> None:
    for name in ("b.pth", "a.pt", "c.safetensors", "d.bin"):
        torch.save(state, tmp_path / name)
    with pytest.raises(
        InputError, match=r"several files of weights: a\.pt, b\.pth, c\.safetensors and 1 more"
    ) as caught:
        read_weights(tmp_path)
    assert caught.value.fix == f"give {tmp_path / 'a.pt'}, or another"


def test_an_index_that_names_more_than_its_files_have(state: State, tmp_path: Path) -> None:
    files = save_shards(state, tmp_path)
    index = {**dict.fromkeys(state, files[0]), "absent.weight": files[1]}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    with pytest.raises(InputError, match=rf"1 of the {len(index)} tensors of the index .*: absent\.weight"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("link", "this link leads to no file"), ("pipe", "this is neither a file nor a folder")],
)
def test_what_is_no_file(kind: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.symlink_to("nowhere.pth") if kind == "link" else os.mkfifo(path)
    with pytest.raises(InputError, match=message):
        read_weights(path)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.complex64, torch.bool, torch.float8_e4m3fn])
def test_numbers_that_are_not_those_of_weights(dtype: torch.dtype, state: State) -> None:
    with pytest.raises(InputError, match=f"has numbers of {str(dtype).removeprefix('torch.')}"):
        read_weights({name: tensor.to(dtype) for name, tensor in state.items()})


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)  # permissions stop no superuser
    with pytest.raises(InputError, match="you may not read this folder, or one on the way to it"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("address", ["https://a.org/x.pth", "http://a.org/x.pth"])
def test_an_address_is_no_file(address: str) -> None:
    with pytest.raises(InputError, match="this is an address, and nothing is fetched from it"):
        read_weights(address)


def test_odd_formats_beside_weights(state: State) -> None:
    scale = {"blocks.2.scale": torch.ones(3, dtype=torch.float8_e5m2)}
    assert read_weights({**state, **scale}).tensors["blocks.2.scale"].dtype == torch.float8_e5m2


def test_a_compressed_archive_says_how_to_store_it(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as stored, zipfile.ZipFile(tmp_path / "b.pth", "w", 8) as packed:
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    with pytest.raises(InputError, match="it is a compressed archive") as caught:
        read_weights(tmp_path / "b.pth")
    assert caught.value.fix == f"torch.save(torch.load({str(tmp_path / 'b.pth')!r}, weights_only=True), 'weights.pth')"
