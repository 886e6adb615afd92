"""Small files that stand for large ones: archives, YAML, pictures, headers."""

import gzip
import io
import json
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.trust.attacks import Attacks, in_copy
from benchmarks.trust.inputs import make_inputs, shared_inputs

MOST_MIB, MOST_S = 700, 30


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("best/data.pkl", "w") as member:
        for _ in range(256):
            member.write(bytes(4 << 20))


def _zip_that_lies(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", b"}.")
        archive.writestr("best/data/0", b"")
    content = bytearray(path.read_bytes())
    struct.pack_into("<II", content, content.find(b"PK\x01\x02") + 20, 3 << 30, 3 << 30)
    path.write_bytes(content)


def _laughs(path: Path) -> None:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    path.write_text("\n".join(["a0: &a0 [x, x]", *lines]))


def _deep(path: Path) -> None:
    path.write_text("a: " + "[" * 100_000)


def _loop(path: Path) -> None:
    path.write_text("a: &a [*a]\n")


def _png(path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(8 << 20))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def _png_text(path: Path) -> None:
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * (200 << 20), zip=True)
    Image.new("RGB", (8, 8)).save(path, pnginfo=text)


def _gif(path: Path) -> None:
    path.write_bytes(
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf7\0\0" + bytes(768) + b",\0\0\0\0\xff\xff\xff\xff\0\x08"
    )


def _tiff(path: Path) -> None:
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (64, 64)).save(file, "TIFF", compression="tiff_deflate")
    content = file.getvalue().replace(struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, 200_000))
    content = content.replace(struct.pack("<HHIHH", 256, 3, 1, 64, 0), struct.pack("<HHIHH", 256, 3, 1, 65535, 0))
    path.write_bytes(content)


def _webp(path: Path) -> None:
    body = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff\x3f\0" + b"\xff\x3f\0"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)


def _safetensors(path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 30], "data_offsets": [0, 4 << 30]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def _safetensors_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")


def _listing(path: Path) -> None:
    with gzip.open(path, "wb", 1) as file:
        for _ in range(512):
            file.write(b" " * (4 << 20))


def _nested(path: Path) -> None:
    path.write_text("[" * 1_000_000)


def _features(path: Path) -> None:
    header = f"{{'descr': '<f2', 'fortran_order': False, 'shape': ({1 << 20}, {1 << 20}), }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    about = {"teacher": "a", "px": 32, "side": 1 << 10, "dim": 1 << 20, "per_shard": 1 << 20, "images": ["a"]}
    path.with_name("index.json").write_text(json.dumps({"format": "fastitpn-features-1", **about}))


def _tar(path: Path) -> None:
    info = tarfile.TarInfo("a.png")
    info.size = 3 << 30
    path.write_bytes(info.tobuf() + bytes(1024))


def _arguments(path: Path) -> None:
    import torch

    from fastitpn.runs.checkpoint import save_checkpoint

    model = {"name": "fastitpn_nano", "arguments": {"img_size": 64_000, "embed_dim": 200_000}}
    about = {"task": "classify", "model": model, "classes": ["a"], "mean": [0.5] * 3, "std": [0.5] * 3, "px": 64_000}
    save_checkpoint(path, {**about, "weights": {"a": torch.ones(3)}, "step": 1})


BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {
    "best.ckpt": (_zip, "weights"),
    "lies.ckpt": (_zip_that_lies, "weights"),
    "laughs.yaml": (_laughs, "recipe"),
    "deep.yaml": (_deep, "recipe"),
    "loop.yaml": (_loop, "recipe"),
    "large.png": (_png, "image"),
    "text.png": (_png_text, "image"),
    "large.gif": (_gif, "image"),
    "large.tif": (_tiff, "image"),
    "large.webp": (_webp, "image"),
    "a.safetensors": (_safetensors, "weights"),
    "b.safetensors": (_safetensors_header, "weights"),
    "arguments.ckpt": (_arguments, "model"),
    "data.json.gz": (_listing, "run"),
    "nested.json": (_nested, "labels"),
    "00000.npy": (_features, "features"),
    "shard.tar": (_tar, "shard"),
}
DOORS: dict[str, tuple[str, ...]] = {
    "weights": ("load", "read_weights"),
    "recipe": ("recipe", "words"),
    "image": ("read", "predict"),
    "model": ("load",),
    "run": ("listing",),
    "labels": ("json", "boxes"),
    "features": ("features",),
    "shard": ("images",),
}
TABLE = tuple((name, door) for name, (_, kind) in BOMBS.items() for door in DOORS[kind])


def opened(door: str, path: Path) -> Any:
    """Opens a file as a verb does."""
    import fastitpn
    from fastitpn.config.recipe import read_recipe
    from fastitpn.data.detection.images import detection_images
    from fastitpn.data.feature_shards import FeatureShards
    from fastitpn.data.images.decode import read_image
    from fastitpn.data.images.tar_members import read_members
    from fastitpn.data.images.transforms import Crop
    from fastitpn.data.json_files import read_json
    from fastitpn.data.yaml_words import read_yaml_words
    from fastitpn.models.weights.file import read_weights
    from fastitpn.runs.data_files import read_listing

    def recipe() -> Any:
        keys, problems = read_recipe(path)
        return keys if not problems else None

    doors: dict[str, Callable[[], Any]] = {
        "load": lambda: fastitpn.load(path, device="cpu"),
        "read_weights": lambda: read_weights(path),
        "recipe": recipe,
        "words": lambda: read_yaml_words(path, expected="names"),
        "read": lambda: read_image(path),
        "predict": lambda: _predictor(path.parent)(path),
        "listing": lambda: read_listing(path.parent),
        "json": lambda: read_json(path, expected="labels"),
        "boxes": lambda: detection_images(path),
        "features": lambda: FeatureShards(path.parent, ["a"], side=2).crop(0, Crop(0.0, 0.0, 1.0, 1.0, False)),
        "images": lambda: read_members(path),
    }
    return doors[door]()


def _predictor(folder: Path) -> Any:
    import fastitpn

    return fastitpn.load(shared_inputs(folder) / "made" / "classifier.ckpt", device="cpu")


def attack(number: int, seed: int, folder: Path) -> str | None:
    """A bomb at a door: refused, soon, in little memory."""
    from fastitpn.errors import FastITPNError

    name, door = TABLE[number]
    if not (folder / name).exists():
        BOMBS[name][0](folder / name)

    def run() -> str:
        try:
            return "opened" if opened(door, folder / name) is not None else "refused"
        except FastITPNError:
            return "refused"

    started = time.monotonic()
    ended = in_copy(run, seconds=120)
    seconds = time.monotonic() - started
    if ended.value != "refused" or ended.peak_mib > MOST_MIB or seconds > MOST_S:
        what = ended.value or f"ended with {ended.code}: {ended.said[-300:]}"
        return f"{name} at {door}: {what}, {ended.peak_mib:.0f} MiB, {seconds:.0f} s"
    return None


def prepare(folder: Path) -> None:
    """A model that predicts."""
    make_inputs(shared_inputs(folder))


ATTACKS = (Attacks(name="bombs", count=len(TABLE), attack=attack, prepare=prepare),)
