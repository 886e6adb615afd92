"""Images are found in folders and lists, in a fixed order."""

import pytest

from fastitpn.data.images.folders import left_out, list_images, unlabelled
from fastitpn.errors import InputError


def test_list_images_is_recursive_sorted_and_skips_hidden(tmp_path, write_images):
    names = ["B.JPG", "a [1].png", "sub/deep/ü.jpeg", "sub/x.webp"]
    write_images(tmp_path, *names, ".hidden.jpg", ".cache/y.jpg", "__MACOSX/._z.jpg")
    (tmp_path / "notes.txt").touch()
    assert list_images(tmp_path) == sorted(tmp_path / name for name in names)


def test_list_images_follows_links_but_not_in_circles(tmp_path, write_images):
    write_images(tmp_path / "elsewhere", "a.jpg")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data")
    assert list_images(tmp_path / "data") == [tmp_path / "data" / "link" / "a.jpg"]


def test_list_images_of_wrong_folders(tmp_path, write_images):
    (file,) = write_images(tmp_path, "a.jpg")
    with pytest.raises(InputError, match=rf"(?s)does not exist.*typo.*ls {tmp_path}"):
        list_images(tmp_path / "typo" / "train")
    with pytest.raises(InputError, match=rf"(?s)a file, not a folder.*data={tmp_path}"):
        list_images(file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"(?s)no images in this folder \(it has no files\).*\.jpeg"):
        list_images(tmp_path / "empty")
    for name in ("a.psd", "b.PSD", "c"):
        (tmp_path / "empty" / name).touch()
    with pytest.raises(InputError, match=r"other files: 2 \.psd, 1 without extension"):
        list_images(tmp_path / "empty")


def test_unlabelled_sources(tmp_path, write_images):
    first, second = write_images(tmp_path / "in", "x/1.jpg", "2.jpg")
    assert set(unlabelled(str(tmp_path / "in"))) == {first, second}
    (tmp_path / "list.txt").write_text("in/2.jpg\n")
    assert unlabelled(tmp_path / "list.txt") == [second]
    (tmp_path / "table.csv").write_text("image,label\nin/x/1.jpg,cat\n")
    assert unlabelled(tmp_path / "table.csv") == [first]


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_unlabelled_leaves_validation_images_out(tmp_path, write_images, val):
    first, _ = write_images(tmp_path, "train/cat/1.jpg", f"{val}/cat/2.jpg")
    assert unlabelled(tmp_path) == [first]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("train/1.jpg", "test/2.jpg"), "train/1.jpg"),
        (("Training/1.jpg", "validation/2.jpg", "testing/3.jpg"), "Training/1.jpg"),
        (("images/train/1.jpg", "images/test/2.jpg", "labels/train/1.png"), "images/train/1.jpg"),
        (("images/1.jpg", "masks/1.png"), "images/1.jpg"),
        (("@eaDir/1.jpg/SYNO.jpg", "2.jpg"), "2.jpg"),
    ],
)
def test_unlabelled_images_are_no_test_images_masks_or_thumbnails(tmp_path, write_images, names, chosen):
    write_images(tmp_path, *names)
    assert unlabelled(tmp_path) == [tmp_path / chosen]


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_of_lists_that_name_parts_the_one_to_train_on(tmp_path, write_images, capsys, suffix):
    write_images(tmp_path, "all/1.jpg", "all/2.jpg", "all/3.jpg")
    (tmp_path / f"train{suffix}").write_text("image\nall/2.jpg\n" if suffix == ".csv" else "all/2.jpg\n")
    assert len(unlabelled(tmp_path)) == 3  # a list without others may be of anything
    (tmp_path / f"test{suffix}").write_text("image\nall/1.jpg\n" if suffix == ".csv" else "all/1.jpg\n")
    assert unlabelled(tmp_path) == [tmp_path / "all/2.jpg"]
    assert f"train{suffix} lists are trained on, not those of test{suffix}" in capsys.readouterr().out


def test_no_part_to_pretrain_on(tmp_path, write_images):
    write_images(tmp_path, "test/1.jpg")
    with pytest.raises(InputError, match=r"(?s)no part train in this data, but test.*data=\S+/test"):
        unlabelled(tmp_path)


def test_what_is_left_out(tmp_path, write_images):
    write_images(tmp_path, "a/1.jpg", "@eaDir/1.jpg", "a/@eaDir/2.jpg", ".git/3.jpg")
    for name in ("a/1.CR2", "a/2.cr2", "b.psd", "notes.txt", "._x.cr2", "@eaDir/9.cr2"):
        (tmp_path / name).touch()
    line = left_out(tmp_path, tmp_path / "a" / "1.jpg", None).line()
    assert line == (
        "2 .cr2 files were not read: raw photographs, to be developed to JPEG, PNG or TIFF; 1 .psd file was not read: "
        "layered pictures, to be exported as PNG or TIFF; folders of file systems were left out: 2 @eaDir"
    )
    assert "psd" not in left_out(tmp_path).line(but=(".psd",))
    assert left_out(tmp_path / ".git").line() is None
    (tmp_path / "a" / "scan.nii.gz").touch()
    assert "1 .gz file was not read: archives, to be unpacked" in left_out(tmp_path / "a").line()


def test_images_and_videos_without_a_suffix_are_counted(tmp_path, write_images):
    write_images(tmp_path, "1.jpg", "2.png")
    (tmp_path / "1.jpg").rename(tmp_path / "one")
    (tmp_path / "2.png").rename(tmp_path / "two")
    (tmp_path / "clip").write_bytes(b"\0\0\0\x20ftypisom" + bytes(64))
    (tmp_path / "README").write_text("ftyp")
    assert left_out(tmp_path).line() == (
        "2 images without a suffix were not read: give them one, such as .jpg; "
        "1 video without a suffix was not read: give it one, such as .mp4"
    )
