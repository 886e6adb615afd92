import os

import pytest

from fastitpn.errors import InputError
from fastitpn.files import new_folder, replacing, write_text


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "a", "old")

    def interrupted():
        with replacing(tmp_path / "a") as file:
            file.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_what_is_left_of_a_killed_write_is_overwritten(tmp_path):
    (tmp_path / ".a.tmp").write_text("half")
    write_text(tmp_path / "a", "new")
    assert os.listdir(tmp_path) == ["a"]


def test_a_missing_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="a could not be written: No such file or directory"):
        write_text(tmp_path / "none" / "a", "x")


def test_another_error_while_writing_is_told_as_it_is(tmp_path):
    """Also where it followed from one of the system, such as an image that cannot be read."""

    def failing():
        with replacing(tmp_path / "a"):
            try:
                (tmp_path / "image.png").read_bytes()
            except OSError as error:
                raise InputError("the image cannot be read") from error

    with pytest.raises(InputError, match=r"^the image cannot be read$"):
        failing()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_there_as_a_whole_or_not_at_all(tmp_path):
    def fill(error=None):
        with new_folder(tmp_path / "a" / "b") as folder:
            (folder / "c").touch()
            if error is not None:
                raise error

    with pytest.raises(KeyboardInterrupt):
        fill(KeyboardInterrupt())
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "a" / "b").mkdir()
    fill()
    with pytest.raises(OSError, match="not empty"):
        fill()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["a", "a/b", "a/b/c"]
