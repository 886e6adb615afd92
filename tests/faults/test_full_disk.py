"""A disk that takes no more, in every writer: one message, the old file whole, nothing half-written left."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from full_disk import small_files
from tiny_runs import files
from torch import nn

from fastitpn.data.feature_shards import write_shard
from fastitpn.errors import InputError
from fastitpn.exporting.export import _written
from fastitpn.exporting.formats.base import ExportFormat
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.network import Graph, Network
from fastitpn.exporting.shapes import Shapes
from fastitpn.files import append_line, copy_file, new_folder, replacing, write_text
from fastitpn.inference.written_pictures import save_picture
from fastitpn.runs.checkpoint import save_checkpoint
from fastitpn.runs.hub_folder import write_hub_folder
from fastitpn.runs.run_directory import _RunLog

ROOM = 2000
FULL = r"^out could not be written: the disk is full"
VALUES = torch.arange(2000.0)


class Weighted(Network):
    """One matrix, larger than there is room for."""

    outputs = ("out",)

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 64, 8)

    def forward(self, images):
        return (self.layer(images),)


def save_picture_of(path: Path) -> None:
    from PIL import Image

    save_picture(Image.effect_noise((64, 64), 90), path)


def copy_of(path: Path) -> None:
    copy_file(Path(__file__), path)


WRITERS = {
    "text": lambda path: write_text(path, "x" * 3000),
    "checkpoint": lambda path: save_checkpoint(path, {"values": VALUES}),
    "picture": save_picture_of,
    "copy": copy_of,
    "features": lambda path: write_shard(path.parent, 0, VALUES.reshape(1, 1000, 2)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_the_old_one(name, tmp_path):
    path = tmp_path / ("00000.npy" if name == "features" else "file")
    path.write_text("old")
    with small_files(ROOM), pytest.raises(InputError, match=f"^{path.name} could not be written: File too large"):
        WRITERS[name](path)
    assert (path.read_text(), files(tmp_path)) == ("old", [path.name])


def test_of_a_line_all_is_there_or_nothing(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_line(path, "a" * 1500)
    with small_files(ROOM), pytest.raises(InputError, match=r"metrics\.jsonl could not be written: File too large"):
        append_line(path, "b" * 1500)
    assert path.read_text() == "a" * 1500 + "\n"


def test_a_log_without_room_is_said_once(tmp_path, capsys):
    log = _RunLog(tmp_path / "log.txt")
    with small_files(100):
        for _ in range(3):
            log.emit(
                SimpleNamespace(
                    getMessage=lambda: "x" * 200,
                    exc_info=None,
                    exc_text=None,
                    stack_info=None,
                    levelname="INFO",
                    created=0.0,
                    msecs=0.0,
                )
            )
    assert capsys.readouterr().err == "log.txt could not be written: File too large; the run continues without it\n"


@pytest.mark.parametrize("name", ["torch_export", "torchscript"])
def test_an_export_ends_with_a_message(name, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))  # as it then is
    format_ = FORMATS[name]
    graph = Graph(Weighted(), "fp32")
    with small_files(ROOM), pytest.raises(InputError, match=FULL), new_folder(tmp_path / "out") as folder:
        format_.write(graph, Shapes(size=(32, 32)), folder / format_.file)
    assert files(tmp_path) == []


def test_a_full_disk_is_no_fault_of_the_model(tmp_path):
    class Full(ExportFormat):
        def write(self, graph, shapes, path):
            raise OSError(errno.ENOSPC, "No space left on device")

    subject, config = SimpleNamespace(network=Weighted()), SimpleNamespace(precision="fp32")
    with pytest.raises(InputError, match=FULL), new_folder(tmp_path / "out") as folder:
        _written(Full(), folder / "file", subject, None, None, config)


def test_a_folder_for_timm_ends_with_a_message(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with small_files(ROOM), pytest.raises(InputError, match=FULL), new_folder(tmp_path / "out") as folder:
        write_hub_folder(folder, {"weights": {"values": VALUES}}, ["values"])
    assert files(tmp_path) == []


def test_a_library_that_tells_no_cause(tmp_path, monkeypatch):
    free = 10**9
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))

    def fail() -> None:
        with replacing(tmp_path / "file"):
            raise RuntimeError("basic_ios::clear: iostream error")

    with pytest.raises(RuntimeError, match="iostream"):  # with room it is of something else
        fail()
    free = 4096
    with pytest.raises(InputError, match="file could not be written: the disk is full"):
        fail()
    assert files(tmp_path) == []


def test_an_image_that_cannot_be_read_is_no_lack_of_room(tmp_path):
    def fail() -> None:
        with new_folder(tmp_path / "out"):
            (tmp_path / "image.png").read_bytes()

    with pytest.raises(FileNotFoundError, match=r"image\.png"):
        fail()
