"""What lies in folders of data and is no file, and memory that runs out while one is read."""

import os
import socket

import pytest
from PIL import Image

from fastitpn.data.images import decode
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.folders import left_out, list_images
from fastitpn.errors import InputError
from fastitpn.files import walk

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "real.png")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "a" / "device.png").symlink_to("/dev/zero")
    (tmp_path / "nowhere.png").symlink_to("gone.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "a" / "socket.png")[:100])
        yield tmp_path


def test_what_is_no_file_is_left_out_and_named(folder):
    assert [path.name for path in list_images(folder)] == ["real.png", "nowhere.png"]
    line = left_out(folder).line()
    assert line.startswith("what is no file was left out: ")
    assert all(f"1 {name}" in line for name in ("pipe.png", "device.png"))


def test_a_link_that_leads_nowhere_is_still_an_error(folder):
    with pytest.raises(InputError, match="a link to a file that does not exist"):
        read_image(folder / "nowhere.png")


def test_folders_are_entered_as_by_os_walk(folder):
    (folder / "b" / "c").mkdir(parents=True)
    (folder / "b" / "skip").mkdir()
    for root, folders, _ in walk(folder):
        folders[:] = sorted(name for name in folders if name != "skip")
        assert not root.endswith("skip")
    roots = [os.path.relpath(root, folder) for root, _, _ in walk(folder)]
    assert sorted(roots) == [".", "a", "b", "b/c", "b/skip"]


@pytest.mark.parametrize("how", ["file", "bytes"])
def test_memory_that_runs_out_says_nothing_of_the_image(folder, monkeypatch, how):
    def full(*_: object, **__: object) -> None:
        raise MemoryError("no room for 3 GiB")

    monkeypatch.setattr(decode, "_open", full)
    file = folder / "a" / "real.png"
    with pytest.raises(MemoryError, match="no room"):
        read_image(file) if how == "file" else decode.decode_image(file.read_bytes(), where="a member")
