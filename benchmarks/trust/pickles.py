"""Pickles that call something when they are read, in every container of weights, at every door."""

import contextlib
import io
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.trust.attacks import Attacks, in_copy

CALLS = (
    *("os.system", "posix.system", "subprocess.run", "subprocess.Popen", "subprocess.check_output", "os.popen"),
    *("builtins.eval", "builtins.exec", "builtins.__import__", "builtins.open", "builtins.compile", "os.remove"),
    *("os.mkdir", "os.rename", "os.execv", "os.fork", "os.kill", "shutil.rmtree", "shutil.copyfile", "pty.spawn"),
    *("runpy.run_path", "importlib.import_module", "ctypes.CDLL", "socket.create_connection", "webbrowser.open"),
    *("urllib.request.urlopen", "urllib.request.urlretrieve", "pickle.loads", "marshal.loads", "torch.load"),
    *("torch.hub.load", "torch.jit.load", "timm.create_model", "pathlib.Path.write_text", "pathlib.Path"),
)
CONTAINERS = ("zip", "legacy", "plain", "tar", "zip with more members", "a member of weights")
DOORS = ("load", "read_weights", "inspect", "load_checkpoint", "components")
WATCHED = ("os.system", "subprocess.Popen", "socket.connect", "os.exec", "os.fork", "shutil.rmtree", "os.remove")
WATCHED += ("os.rename", "os.mkdir", "pty.spawn", "ctypes.dlopen", "urllib.Request", "marshal.loads", "os.kill", "exec")


def payload(name: str, marker: Path) -> bytes:
    """A pickle that calls the function with a path, among tensors' words."""
    module, _, function = name.rpartition(".")
    argument = f"open({str(marker)!r}, 'w')" if name.startswith("builtins.e") else str(marker)
    written = pickle.dumps(argument, protocol=2)[2:-1]
    return b"\x80\x02c" + f"{module}\n{function}\n".encode() + written + b"\x85R."


def container(kind: str, content: bytes, path: Path) -> None:
    """The file."""
    import torch

    if kind in ("zip", "zip with more members", "a member of weights"):
        buffer = io.BytesIO()
        torch.save({"weights": {"a": torch.ones(3)}}, buffer)
        with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
            for entry in source.infolist():
                pickled = entry.filename.endswith("data.pkl") and kind != "a member of weights"
                target.writestr(entry.filename, content if pickled else source.read(entry))
            if kind != "zip":
                target.writestr("archive/more.pkl", content)
    elif kind == "tar":
        with tarfile.open(path, "w") as archive:
            for name in ("pickle", "storages", "tensors"):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    elif kind == "legacy":
        numbers = b"".join(pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, {}))
        path.write_bytes(numbers + content)
    else:
        path.write_bytes(content)


def opened(door: str, path: Path) -> Any:
    """Opens a file as a verb does."""
    import fastitpn
    from fastitpn.cli.main import main
    from fastitpn.models.weights.file import read_weights
    from fastitpn.models.weights.reading import read_content
    from fastitpn.runs.checkpoint import load_checkpoint

    doors = {
        "load": lambda: fastitpn.load(path, device="cpu"),
        "read_weights": lambda: read_weights(path),
        "inspect": lambda: main(["inspect", str(path)]),
        "load_checkpoint": lambda: load_checkpoint(path),
        "components": lambda: read_content(path),
    }
    return doors[door]()


def attack(number: int, seed: int, folder: Path) -> str | None:
    """One function in one container at one door: nothing is called, whatever becomes of the file."""
    from fastitpn.errors import FastITPNError

    name = CALLS[number % len(CALLS)]
    kind = CONTAINERS[number // len(CALLS) % len(CONTAINERS)]
    door = DOORS[number // len(CALLS) // len(CONTAINERS)]
    path, marker = folder / "weights.pth", folder / "marker"
    container(kind, payload(name, marker), path)

    def run() -> list[str]:
        events: list[str] = []

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open" and str(arguments[0]) == str(marker):
                events.append(f"open {arguments[1]}")
            elif event in WATCHED and str(marker) in repr(arguments):
                events.append(event)

        sys.addaudithook(watch)
        with contextlib.suppress(FastITPNError):
            opened(door, path)
        return events

    ended = in_copy(run, seconds=60)
    what = f"{name} in {kind} at {door}"
    if ended.value is None:
        return f"{what}: ended with {ended.code}: {ended.said[-300:]}"
    return f"{what}: {ended.value}" if ended.value or marker.exists() else None


def prepare(folder: Path) -> None:
    """What doors import, once."""
    import timm

    import fastitpn
    import fastitpn.cli.main

    assert timm
    fastitpn.create_model("fastitpn_nano")


ATTACKS = (
    Attacks(name="malicious pickles", count=len(CALLS) * len(CONTAINERS) * len(DOORS), attack=attack, prepare=prepare),
)
