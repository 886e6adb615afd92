"""Damaged checkpoints, exports, stored features and runs: refused with a message, or read as what was written."""

import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks, emptied
from benchmarks.trust.inputs import make_inputs, shared_inputs


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """A bit, a byte or a page changed; cut, doubled or filled with zeros."""
    changed = bytearray(content)
    start = rng.randrange(len(changed))
    match rng.randrange(6):
        case 0 | 1:
            changed[start] ^= 1 << rng.randrange(8)
        case 2:
            changed[start] = rng.randrange(256)
        case 3:
            changed[start : start + 4096] = bytes(len(changed[start : start + 4096]))
        case 4:
            del changed[start:]
        case 5:
            changed[start:start] = changed[start : start + rng.choice((1, 8, 512, 4096))]
    return bytes(changed)


def checkpoint(number: int, seed: int, folder: Path) -> str | None:
    """A small checkpoint, read by the reader of runs and by that of weights."""
    import torch

    from fastitpn.errors import InputError
    from fastitpn.models.weights.file import read_weights
    from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint

    whole = {
        "step": 3,
        "weights": {f"layer{n}.weight": torch.arange(40.0) + n for n in range(6)},
        "classes": ["a", "b"],
    }
    path = folder / "last.ckpt"
    save_checkpoint(path, whole)
    path.write_bytes(damage_bytes(path.read_bytes(), rng_of(seed, number)))
    for read, taken in (
        (load_checkpoint, lambda content: content["weights"]),
        (read_weights, lambda file: file.tensors),
    ):
        try:
            weights = taken(read(path))  # type: ignore[operator]
        except InputError:
            continue
        same = all(torch.equal(weights[name], value) for name, value in whole["weights"].items())  # type: ignore[attr-defined]
        if not same:
            return f"{read.__name__} gave other weights"
    return None


def _features(folder: Path) -> tuple[list[Path], Callable[[], Any]]:
    import torch

    from fastitpn.data.feature_shards import FeatureIndex, FeatureShards, write_index, write_shard
    from fastitpn.data.images.transforms import Crop

    index = FeatureIndex(teacher="timm:a", px=32, side=2, dim=3, per_shard=2, images=("a", "b", "c"))
    write_index(folder, index)
    generator = torch.Generator().manual_seed(0)
    for shard in range(2):
        write_shard(folder, shard, torch.rand(index.shape(shard), generator=generator))
    crop = Crop(left=0.0, top=0.0, width=1.0, height=1.0, flipped=False)

    def read() -> Any:
        shards = FeatureShards(folder, ("a", "b", "c"), side=2)
        return [shards.crop(number, crop).shape for number in range(3)]

    return [folder / "index.json", folder / "00000.npy", folder / "00001.npy"], read


def _hub(folder: Path) -> tuple[list[Path], Callable[[], Any]]:
    from fastitpn.runs.checkpoint import load_checkpoint
    from fastitpn.runs.hub_folder import read_hub_folder, write_hub_folder

    content = load_checkpoint(shared_inputs(folder.parent) / "made" / "linear.ckpt")
    names = [name for name in content["weights"] if name.startswith("backbone.")]
    write_hub_folder(folder, content, [name.removeprefix("backbone.") for name in names])
    return sorted(folder.iterdir()), lambda: _weights(read_hub_folder(folder))


def _weights(content: Any) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(sorted(content["weights"].items()), file)
    return file.getvalue()


def _run(folder: Path) -> tuple[list[Path], Callable[[], Any]]:
    from fastitpn.runs.run import Run

    run = shared_inputs(folder.parent) / "run"
    for name in ("config.yaml", "metrics.jsonl", "result.json", "run.json", "data.json.gz", "sums.json"):
        shutil.copy(run / name, folder / name)

    def read() -> None:
        opened = Run(folder)
        assert [opened.config, opened.verb, opened.metrics, opened.history, repr(opened)]

    return sorted(folder.iterdir()), read


def _doctor(folder: Path) -> tuple[list[Path], Callable[[], Any]]:
    from fastitpn.diagnosis.own_files import check_own_files

    (folder / "checkpoints").mkdir()
    files, _ = _run(folder)
    return [
        file for file in files if file.is_file()
    ], lambda: check_own_files(folder, "run", folder.parent / "doctor", "findings.jsonl") and None


def _shards(folder: Path) -> tuple[list[Path], Callable[[], Any]]:
    from fastitpn.data.classification.labelled import labelled_split
    from fastitpn.data.images.decode import read_image

    _write_shards(folder)

    def read() -> None:
        for images in labelled_split(folder):
            assert [read_image(path).size for path in images.paths]

    return [folder / "0.tar", folder / "1.tar"], read


def _write_shards(folder: Path) -> None:
    import tarfile

    from PIL import Image

    for shard in range(2):
        with tarfile.open(folder / f"{shard}.tar", "w") as archive:
            for number in range(4):
                picture = io.BytesIO()
                Image.new("RGB", (16, 16), (number, 0, 0)).save(picture, "PNG")
                for name, content in (("png", picture.getvalue()), ("cls", str(number % 2).encode())):
                    info = tarfile.TarInfo(f"{shard}{number}.{name}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))


def _exported(folder: Path) -> tuple[list[Path], Callable[[], Any]]:
    import fastitpn

    source = shared_inputs(folder.parent) / "exported"
    for path in source.iterdir():
        shutil.copy(path, folder / path.name)
    return sorted(folder.iterdir()), lambda: fastitpn.load(folder, device="cpu") and None


FOLDERS = (_features, _hub, _run, _doctor, _shards, _exported)
EXACT = (_hub,)
"""Readers that give what was written, or refuse."""


def other(number: int, seed: int, folder: Path) -> str | None:
    """A folder with one file damaged."""
    from damaging import damage

    from fastitpn.errors import InputError

    make, rng = FOLDERS[number % len(FOLDERS)], rng_of(seed, number)
    files, read = make(emptied(folder / "place"))
    expected = read()
    path = rng.choice(files)
    inside = path.suffix in (".json", ".yaml") and rng.random() < 0.5
    content = path.read_bytes()
    path.write_bytes(damage(content, path.suffix, rng) if inside else damage_bytes(content, rng))
    try:
        value = read()
    except InputError:
        return None
    except Exception as error:
        return f"{make.__name__}, {path.name}: {type(error).__name__}: {error}"[:300]
    return f"{make.__name__}, {path.name}: another content" if make in EXACT and value != expected else None


def prepare(folder: Path) -> None:
    """Checkpoints and a run."""
    make_inputs(shared_inputs(folder))


ATTACKS = (
    Attacks(name="damaged checkpoints", count=2000, attack=checkpoint),
    Attacks(name="other damaged files", count=240, attack=other, prepare=prepare),
)
