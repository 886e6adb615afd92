"""The folder of an export is there as a whole, or not at all."""

import os

import pytest
from tiny_runs import files

from fastitpn import files as filing
from fastitpn.errors import InputError
from fastitpn.exporting.folder import DESCRIPTION, export_folder


def fill(folder, name="a"):
    (folder / DESCRIPTION).write_text("{}")
    (folder / name).write_text(name)


def test_an_earlier_export_is_replaced(tmp_path):
    for name in ("a", "b"):
        with export_folder(tmp_path / "new" / "out") as folder:
            fill(folder, name)
    assert files(tmp_path) == ["new/out/b", f"new/out/{DESCRIPTION}"]


@pytest.mark.parametrize("at_once", [True, False])
def test_where_folders_cannot_change_places(tmp_path, monkeypatch, at_once):
    if not at_once:
        monkeypatch.setattr(filing, "_exchange", lambda first, second: False)
    for name in ("a", "b"):
        with export_folder(tmp_path / "out") as folder:
            fill(folder, name)
            before = (tmp_path / "out").exists() and os.stat(tmp_path / "out").st_ino
    assert files(tmp_path) == ["out/b", f"out/{DESCRIPTION}"]
    assert os.stat(tmp_path / "out").st_ino != before


def test_nothing_is_left_of_a_failure(tmp_path):
    def failing():
        with export_folder(tmp_path / "out") as folder:
            fill(folder)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        failing()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_export_is_left_alone(tmp_path, classifier_run):
    (tmp_path / "photo.jpg").write_text("a")
    for out, text in (
        (tmp_path, "not empty, and no export"),
        (tmp_path / "photo.jpg", "out is a file"),
        (tmp_path / "photo.jpg" / "x", "out is a file, or below one"),
        (classifier_run.directory, "out is the directory of a run"),
    ):
        with pytest.raises(InputError, match=text), export_folder(out):
            pass
    assert files(tmp_path) == ["photo.jpg"]
