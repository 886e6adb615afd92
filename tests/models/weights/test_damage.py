"""What is said of files that are no weights: what they are, and what to type."""

import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from fastitpn.errors import InputError
from fastitpn.models.weights.file import read_weights

HEADER = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 1600]}}).encode()
KINDS = [
    ("a.pth.gz", b"\x1f\x8b\x08\x00abc", "it is packed", "unpack it: gunzip < {path} > weights.pth"),
    ("a.pth.bz2", b"BZh91AY", "it is packed", "unpack it: bunzip2 < {path} > weights.pth"),
    ("a.pth", b"\xfd7zXZ\x00abc", "it is packed", "unpack it: unxz < {path} > weights.pth"),
    ("a.pth", b"\x28\xb5\x2f\xfdabc", "it is packed", "unpack it: unzstd < {path} > weights.pth"),
    ("a.pth", b"Rar!\x1a\x07abc", "it is packed", "unpack it: unrar x {path}"),
    ("a.h5", b"\x89HDF\r\n\x1a\n", "it is an HDF5 file", "give the file of weights that belongs to it"),
    ("a.onnx", b"\x08\x07\x12\x07pytorch", "it is an ONNX file", "give the checkpoint that it was exported from"),
    ("a.pth", b"PK\x03\x04abc", "the end of the archive is not in its 7 bytes", "get the file again"),
    (
        "a.safetensors",
        struct.pack("<Q", len(HEADER)) + HEADER + bytes(16),
        f"it has {8 + len(HEADER) + 16} bytes, and its header describes {8 + len(HEADER) + 1600:,}",
        "get the file again",
    ),
    ("a.pkl", pickle.dumps({"a": np.zeros(2)}), "it is a pickle, and not of torch.save", "have whoever made it use "),
    ("a.pt", b'{"error": "Not Found"}', "it is a text file", "get the file again"),
]


@pytest.mark.parametrize(("name", "content", "what", "fix"), KINDS, ids=[f"{kind[0]} {kind[2]}" for kind in KINDS])
def test_kinds_of_files(name: str, content: bytes, what: str, fix: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_weights(path)
    assert caught.value.what == f"the file is damaged or no PyTorch file ({what})"
    assert caught.value.fix is not None
    assert caught.value.fix.startswith(fix.format(path=path))


def test_a_text_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text('{"error": "Not Found"}')
    with pytest.raises(InputError) as caught:
        read_weights(tmp_path / "a.pt")
    assert str(caught.value.expected).endswith("""; found '{"error": "Not Found"} ...'""")


def test_archives_say_how_to_unpack_them(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, buffer)
    for name in ("one.pt", "two.pt"):
        (tmp_path / name).write_bytes(buffer.getvalue())
    with tarfile.open(tmp_path / "both.pth.tar", "w") as packed:  # ends as the last file in it does
        packed.add(tmp_path / "one.pt", "weights/one.pt")
        packed.add(tmp_path / "two.pt", "weights/two.pt")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(tmp_path / "one.pt", "inner.zip")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(2))
    for name, what, fix in (
        (
            "both.pth.tar",
            "this is an archive of other files (weights/one.pt, weights/two.pt)",
            "weights/one.pt: tar -xf",
        ),
        ("outer.zip", "this is an archive of other files (inner.zip)", "unpack it, and give inner.zip: unzip"),
        ("arrays.npz", "these are NumPy arrays", "torch.from_numpy"),
    ):
        with pytest.raises(InputError) as caught:
            read_weights(tmp_path / name)
        assert caught.value.what.startswith(what)
        assert fix in str(caught.value.fix)
