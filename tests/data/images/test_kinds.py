"""Kinds of image files by suffix, and what is said of those that are not read."""

import pytest

from fastitpn.data.images import kinds


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif", ".jp2", ".j2k", ".bmp", ".gif"])
def test_what_pillow_reads_is_an_image(suffix: str) -> None:
    assert suffix in kinds.EXTENSIONS
    assert kinds.not_read({suffix: 3}) == []


def test_files_that_need_a_plugin_are_counted_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "EXTENSIONS", kinds.EXTENSIONS - {".heic", ".heif", ".jxl"})
    assert kinds.not_read({".heic": 9, ".jpg": 5, ".jxl": 1200, ".heif": 1, ".txt": 40}) == [
        "1,200 .jxl files were not read: pip install 'fastitpn[jxl]'",
        "9 .heic files were not read: pip install 'fastitpn[heif]'",
        "1 .heif file was not read: pip install 'fastitpn[heif]'",
    ]


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (".cr2", "raw photographs, to be developed"),
        (".psd", "layered pictures"),
        (".svg", "drawings"),
        (".pdf", "documents"),
        (".dcm", "scientific images"),
        (".mp4", "videos, of which frames"),
    ],
)
def test_pictures_of_other_kinds_are_counted_with_what_to_do(suffix: str, words: str) -> None:
    [line] = kinds.not_read({suffix: 2})
    assert line.startswith(f"2 {suffix} files were not read: {words}")


def test_suffixes_belong_to_one_kind() -> None:
    assert not kinds.EXTENSIONS & set(kinds.NOT_READ)
    assert not set(kinds.INSTALL) & set(kinds.NOT_READ)
