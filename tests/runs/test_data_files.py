"""The same files under another path are the same data; others are named."""

import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from fastitpn.config import Config
from fastitpn.errors import InputError
from fastitpn.runs.data_files import DATA, list_files, write_listing
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import prepare

TABLE_CHECKSUM = zlib.crc32(b"image,label\n")


@dataclass(frozen=True, kw_only=True)
class Keys(Config):
    """Run."""

    _command: ClassVar[str] = "finetune classify"

    data: Path
    """Images."""
    val: Path | None = None
    """Others."""
    lr: float = 1e-3
    """Rate."""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three files; the working folder is above it."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return Path("photos")


def begin(keys: Keys) -> Run:
    return prepare("run", keys, files=sorted(keys.data.rglob("*.jpg")))


def test_names_begin_at_the_folders_that_keys_say(photos, tmp_path):
    (tmp_path / "table.csv").write_text("image,label\n")
    outside = tmp_path / "other" / "9.jpg"
    files = [photos / "a" / "1.jpg", photos / "b" / "1.jpg", outside]
    listing = list_files(Keys(data=photos, val=photos / "b"), files)
    first = [7, zlib.crc32(b"a/1.jpg")]
    assert listing == {"a/1.jpg": first, "val: 1.jpg": [7, zlib.crc32(b"b/1.jpg")], f"{outside.parent}/9.jpg": -1}
    assert list_files(Keys(data=Path("table.csv")), files[:1]) == {
        "photos/a/1.jpg": first,
        "table.csv": [12, TABLE_CHECKSUM],
    }


@pytest.mark.parametrize("how", ["absolute", "moved", "link"])
def test_the_same_files_elsewhere_go_on(photos, tmp_path, how, capsys):
    begin(Keys(data=photos))
    match how:
        case "absolute":
            now = tmp_path / "photos"
        case "moved":
            now = Path(shutil.move(photos, "scratch-7"))
        case "link":
            now = Path("link")
            os.symlink("photos", now)
    run = begin(Keys(data=now))
    line = f"the same 3 files are in another folder, and the run resumes with them: data was photos and is {now}"
    assert line in capsys.readouterr().out
    assert run.config["data"] == str(now)  # so that the command to continue with is right
    begin(Keys(data=now))
    assert "elsewhere" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: (folder / "a" / "new.jpg").touch(), "data: 1 file more: a/new.jpg"),
        (lambda folder: (folder / "b" / "1.jpg").unlink(), "data: 1 file fewer: b/1.jpg"),
        (lambda folder: (folder / "b" / "1.jpg").write_text("x"), "data: 1 file of another size: b/1.jpg"),
        (lambda folder: (folder / "b" / "1.jpg").write_text("c/1.jpg"), "data: 1 file with another content: b/1.jpg"),
    ],
)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_other_files_are_refused_by_name(photos, change, expected, elsewhere):
    begin(Keys(data=photos))
    change(photos)
    now = Path(shutil.move(photos, "moved")) if elsewhere else photos
    with pytest.raises(InputError, match="a run with other data") as caught:
        begin(Keys(data=now))
    assert str(caught.value).count(expected) == 1
    assert "data was" not in str(caught.value)


def test_other_settings_are_refused_also_where_the_files_are_the_same(photos, tmp_path):
    begin(Keys(data=photos))
    with pytest.raises(InputError, match="a run with other settings") as caught:
        begin(Keys(data=tmp_path / "photos", lr=0.1))
    assert caught.value.what.splitlines()[1:] == ["    lr: 0.001 there, 0.1 now"]


def test_a_run_without_a_list_compares_the_paths(photos, tmp_path):
    begin(Keys(data=photos))
    (tmp_path / "run" / DATA).unlink()
    begin(Keys(data=photos))
    with pytest.raises(InputError, match="data: 'photos' there"):
        begin(Keys(data=tmp_path / "photos"))


def test_weights_to_begin_with_are_said_where_there_are_some(photos, tmp_path):
    run = begin(Keys(data=photos))
    (tmp_path / "run" / "checkpoints" / "best.ckpt").touch()
    with pytest.raises(InputError) as caught:
        begin(Keys(data=photos, lr=0.1))
    assert (
        caught.value.fix == f"out=run-2 (with weights={run.directory} it begins with those of this run), or delete run"
    )


def test_of_a_large_file_a_stretch_in_the_middle_counts(photos):
    content = bytearray(20_000)
    path = photos / "a" / "1.jpg"
    path.write_bytes(content)
    begin(Keys(data=photos))
    content[10_000] = 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"1 file with another content: a/1\.jpg"):
        begin(Keys(data=photos))


def test_of_very_many_files_the_time_counts_and_a_copy_goes_on(photos, monkeypatch, capsys):
    monkeypatch.setattr("fastitpn.runs.data_files._MOST_SAMPLED", 2)
    begin(Keys(data=photos))
    os.utime(photos / "a" / "1.jpg", ns=(1, 1))
    line = "1 of 3 files have another time of change (copied, or replaced by ones as large?)"
    begin(Keys(data=photos))
    assert line in capsys.readouterr().out
    begin(Keys(data=photos))
    assert "time of change" not in capsys.readouterr().out


def test_a_run_of_an_earlier_version_knows_sizes_alone(photos):
    run = begin(Keys(data=photos))
    write_listing(run.directory, {"a/1.jpg": 7, "a/2.jpg": 7, "b/1.jpg": 7})
    (photos / "a" / "1.jpg").write_text("c/1.jpg")
    begin(Keys(data=photos))
