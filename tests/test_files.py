import os

import pytest

from fastitpn.errors import InputError
from fastitpn.files import replacing, write_text


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
