"""Names in files of others that lead out of their folder: nothing is written outside of `out`, no link followed."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.trust.attacks import Attacks, emptied, in_copy
from benchmarks.trust.inputs import TINY, main, make_inputs, shared_inputs
from benchmarks.trust.writers import changes_disk

NAMES = ("../../outside", "/outside", "a/../../../outside", "..", "..\\..\\outside", "a\0b", "~/outside", "C:\\outside")
Words = list[str]
_OTHERS = ("/dev/", "/proc/", *(str(Path.home() / name) for name in (".config/", ".cache/")))
"""Where systems and libraries write."""


def _shards(folder: Path, name: str, inputs: Path) -> Words:
    """A tar file whose members have such names, and are links to files outside."""
    import io
    import tarfile

    content = next((inputs / "scenes" / "unlabelled").rglob("*.jpg")).read_bytes()
    data = emptied(folder / "data")
    with tarfile.open(data / "0.tar", "w") as archive:
        for member, kind in ((name + ".jpg", tarfile.REGTYPE), ("b.jpg", tarfile.REGTYPE), ("c.jpg", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(member.replace("\0", ""))
            info.type, info.size = kind, len(content) * (kind == tarfile.REGTYPE)
            info.linkname = str(folder / "secret.jpg")
            archive.addfile(info, io.BytesIO(content))
    return ["pretrain", f"data={data}", *TINY]


def _coco(folder: Path, name: str, inputs: Path) -> Words:
    """Annotations in COCO's format whose classes have such names."""
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(inputs / "scenes" / "detect", data)
    for file in data.glob("annotations_*.json"):
        content = json.loads(file.read_text())
        content["categories"][0]["name"] = name
        file.write_text(json.dumps(content))
    return ["doctor", str(data)]


def _coco_files(folder: Path, name: str, inputs: Path) -> Words:
    """Annotations in COCO's format whose images have such names."""
    words = _coco(folder, "cat", inputs)
    for file in (folder / "data").glob("annotations_*.json"):
        content = json.loads(file.read_text())
        content["images"][0]["file_name"] = f"{name}.jpg"
        file.write_text(json.dumps(content))
    return words


def _classes(folder: Path, name: str, inputs: Path) -> Words:
    """A checkpoint whose classes have such names, which predicts into files."""
    from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint

    content = load_checkpoint(inputs / "made" / "linear.ckpt")
    text = json.dumps({key: value for key, value in content.items() if key not in ("weights", "training")})
    changed = json.loads(text.replace('"cat"', json.dumps(name)))
    save_checkpoint(folder / "classes.ckpt", {**content, **changed})
    return ["predict", str(folder / "classes.ckpt"), str(inputs / "scenes" / "unlabelled"), "device=cpu"]


def _table(folder: Path, name: str, inputs: Path) -> Words:
    """A table of labels with such names of images and of classes."""
    images = sorted((inputs / "scenes" / "unlabelled").rglob("*.jpg"))
    rows = [f'"{path}","{name if place % 2 else "cat"}"' for place, path in enumerate(images)]
    emptied(folder / "data")
    (folder / "data" / "labels.csv").write_text("\n".join(["image,label", *rows, f'"{name}.jpg",cat']))
    return ["finetune", "classify", f"data={folder}/data/labels.csv", "on_error=skip", "defaults=fixed", *TINY]


def _hub(folder: Path, name: str, inputs: Path) -> Words:
    """A folder for timm whose description has such names of files."""
    from fastitpn.runs.checkpoint import load_checkpoint
    from fastitpn.runs.hub_folder import ABOUT, write_hub_folder

    hub = emptied(folder / "hub")
    content = load_checkpoint(inputs / "made" / "linear.ckpt")
    write_hub_folder(hub, content, [key.removeprefix("backbone.") for key in content["weights"]])
    about = json.loads((hub / ABOUT).read_text())
    about["sha256"][name] = "0"
    (hub / ABOUT).write_text(json.dumps({**about, "task": name}))
    return ["predict", str(hub), str(inputs / "scenes" / "unlabelled"), "device=cpu"]


def _export(folder: Path, name: str, inputs: Path) -> Words:
    """An export whose description has such names of files."""
    from fastitpn.runs.exported_folder import DESCRIPTION

    place = folder / "export"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(inputs / "exported", place)
    about = json.loads((place / DESCRIPTION).read_text())
    (place / DESCRIPTION).write_text(json.dumps({**about, "file": name, "more_files": {name: "0"}}))
    return ["predict", str(place), str(inputs / "scenes" / "unlabelled"), "device=cpu"]


MAKERS: tuple[Callable[[Path, str, Path], Words], ...] = (
    *(_shards, _coco, _coco_files, _classes, _table, _hub, _export),
)


def attack(number: int, seed: int, folder: Path) -> str | None:
    """A command on such a file: changes of the disk outside of `out` are recorded, and reads of a secret file."""
    make, name = MAKERS[number % len(MAKERS)], NAMES[number // len(MAKERS)]
    inputs = shared_inputs(folder)
    secret, out = folder / "secret.jpg", emptied(folder / "outs") / "out"
    secret.write_bytes(next((inputs / "scenes" / "unlabelled").rglob("*.jpg")).read_bytes())
    words = [*make(folder, name, inputs), f"out={out}"]
    record = folder / "events"
    record.write_text("")

    def run() -> None:
        log = record.open("a", buffering=1)

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if isinstance(arguments[0] if arguments else None, str | bytes | Path):
                path = Path(str(arguments[0])).absolute()
                written = changes_disk(event, arguments) and not _is_allowed(path, out)
                if written or (event == "open" and path == secret):
                    log.write(f"{event} {path}\n")

        sys.addaudithook(watch)
        main(words)

    ended = in_copy(run)
    what = f"{make.__name__}, {name!r}"
    if ended.code not in (0, 1, 2) or "Traceback" in ended.said:
        return f"{what}: {ended.code}: {ended.said[-400:]}"
    events = record.read_text().splitlines()
    return f"{what}: {events[:3]}" if events else None


def _is_allowed(path: Path, out: Path) -> bool:
    """Below `out`, beside it under the name of a temporary file, or of the system or a library's cache."""
    beside = path.parent == out.parent and path.name.startswith(f".{out.name}")
    return beside or path.is_relative_to(out) or str(path).startswith(_OTHERS) or "__pycache__" in path.parts


def prepare(folder: Path) -> None:
    """The inputs."""
    make_inputs(shared_inputs(folder))


ATTACKS = (Attacks(name="names that lead elsewhere", count=len(MAKERS) * len(NAMES), attack=attack, prepare=prepare),)
