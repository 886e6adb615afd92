"""What lies in folders of data and is no file, and memory that runs out while one is read."""

import os
import socket

import pytest
from PIL import Image

from fastitpn.data.images import decode
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.folders import left_out, list_images
from fastitpn.data.images.pixel_range import find_range
from fastitpn.data.segmentation import mask_files
from fastitpn.data.segmentation.panoptic_labels import read_segments, size_of_segments
from fastitpn.errors import InputError
from fastitpn.listing import children, expanded, is_empty, matching, subfolders, walk

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


def test_every_listing_leaves_out_what_is_no_file(folder):
    inside, names = folder / "a", {"real.png"}
    (inside / "b").mkdir()
    os.mkfifo(inside / "b" / "pipe.png")
    assert {path.name for path in children(inside)} == {*names, "b"}
    assert [path.name for path in children(folder) if path.is_symlink()] == ["nowhere.png"]
    assert subfolders(inside) == [inside / "b"]
    assert matching(folder, "**/*.png", "a/*.png") == [inside / "real.png", folder / "nowhere.png"]
    assert matching(folder / "none", "*") == []
    assert expanded(f"{folder}/**/p*.png") == []
    assert expanded(f"{folder}/**/r*.png") == [inside / "real.png"]
    assert not is_empty(inside / "b")


@pytest.mark.parametrize("how", ["file", "bytes"])
def test_memory_that_runs_out_says_nothing_of_the_image(folder, monkeypatch, how):
    def full(*_: object, **__: object) -> None:
        raise MemoryError("no room for 3 GiB")

    monkeypatch.setattr(decode, "_open", full)
    file = folder / "a" / "real.png"
    with pytest.raises(MemoryError, match="no room"):
        read_image(file) if how == "file" else decode.decode_image(file.read_bytes(), where="a member")


def range_of(path):
    return find_range([path.rename(path.with_suffix(".tif"))])


@pytest.mark.parametrize(
    "read",
    [
        mask_files.read_mask,
        read_segments,
        size_of_segments,
        lambda path: find_range([path.rename(path.with_suffix(".tif"))]),
    ],
    ids=["mask", "segments", "size of segments", "range of values"],
)
def test_memory_that_runs_out_says_nothing_of_a_mask_or_a_range(folder, monkeypatch, read):
    def full(*_: object, **__: object) -> None:
        raise MemoryError("no room for 3 GiB")

    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(MemoryError, match="no room"):
        read(folder / "a" / "real.png")
