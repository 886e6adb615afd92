import pytest

from fastitpn.data.images.readable import check_readable
from fastitpn.errors import InputError


def test_good_files_pass(tmp_path, write_images):
    check_readable(write_images(tmp_path, *(f"{i}.jpg" for i in range(150))))
    check_readable([])


def test_bad_files_are_named_together_with_their_reasons(tmp_path, write_images):
    paths = write_images(tmp_path, *(f"{i:03}.jpg" for i in range(150)))
    paths[70].write_bytes(paths[70].read_bytes()[:500])
    paths[140].unlink()
    with pytest.raises(InputError) as caught:
        check_readable(paths)
    text = str(caught.value)
    assert "2 of 150 images cannot be read" in text
    assert f"{paths[70]}: cannot read this image" in text
    assert f"{paths[140]}: this image file does not exist" in text
    assert "replace or delete these files" in text


def test_ten_files_are_named_at_most(tmp_path):
    paths = [tmp_path / f"{i:03}.jpg" for i in range(100)]
    for path in paths:
        path.touch()
    with pytest.raises(InputError) as caught:
        check_readable(paths)
    assert str(caught.value).count("the file is empty") == 10
    assert "... and 90 more" in str(caught.value)
    assert "009.jpg" in str(caught.value)
    assert "010.jpg" not in str(caught.value)
