"""Images find their masks, in each layout; folders that are none are answered with what was expected."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastitpn.data.segmentation.classes import SegmentationClasses, distinct_colors
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images, segmentation_split
from fastitpn.errors import InputError

NAMES = ("sky", "cat", "dog")
CLASSES = SegmentationClasses(names=NAMES, colors=distinct_colors(NAMES))


def make(folder: Path, *names: str, images: str = "images", masks: str = "masks", shift: int = 0) -> Path:
    """Images of 6x4 px whose masks hold 0, 1 and 2."""
    for name in names:
        for kind, path in (("image", folder / images / f"{name}.jpg"), ("mask", folder / masks / f"{name}.png")):
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "image":
                Image.new("RGB", (6, 4)).save(path)
            else:
                Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6) % 3 + np.uint8(shift)).save(path)
    return folder


def names(images) -> list[str]:
    for image, mask in zip(images.images, images.masks, strict=True):
        assert image.stem == mask.stem
    return [path.stem for path in images.images]


def test_train_and_val_in_the_folder(tmp_path):
    make(tmp_path, "train/a", "train/sub/b", "val/c")
    train, val = segmentation_split(MaskFolders(data=tmp_path))
    assert (names(train), names(val)) == (["a", "b"], ["c"])
    assert train.classes.names == val.classes.names == ("0", "1", "2")
    assert (train.pixels(), val.pixels()) == ([16, 16, 16], [8, 8, 8])


def test_the_layout_of_ade20k(tmp_path):
    make(tmp_path, "training/a", "validation/b", masks="annotations", shift=0)
    (tmp_path / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tName\n1\t1\t1\t1\twall\n2\t1\t1\t1\tsky\n")
    train, val = segmentation_split(MaskFolders(data=tmp_path))
    assert (names(train), names(val)) == (["a"], ["b"])
    assert (train.classes.names, train.classes.reduce_zero_label) == (("wall", "sky"), True)


def test_other_folders_by_name(tmp_path):
    make(tmp_path, "a", "b", images="photos/left", masks="truth")
    train, val = segmentation_split(MaskFolders(data=tmp_path, images=Path("photos/left"), masks=Path("truth")))
    assert sorted(names(train) + names(val)) == ["a", "b"]


def test_without_parts_some_are_held_out_by_the_seed(tmp_path):
    make(tmp_path, *(f"{number:02}" for number in range(20)))
    train, val = segmentation_split(MaskFolders(data=tmp_path), val_ratio=0.25, seed=3)
    again, same = segmentation_split(MaskFolders(data=tmp_path), val_ratio=0.25, seed=3)
    assert (len(train), len(val)) == (15, 5)
    assert (names(again), names(same)) == (names(train), names(val))
    assert not set(names(train)) & set(names(val))
    assert names(segmentation_split(MaskFolders(data=tmp_path), val_ratio=0.25, seed=4)[1]) != names(val)


def test_a_part_train_alone_is_said_to_be_split(tmp_path, capsys):
    make(tmp_path, "train/a", "train/b", "train/c", "train/d")
    train, val = segmentation_split(MaskFolders(data=tmp_path), val_ratio=0.25)
    assert (len(train), len(val)) == (3, 1)
    assert "there is no part val: 25% of train are held out to validate on" in capsys.readouterr().out


def test_another_folder_to_validate_on(tmp_path):
    make(tmp_path / "one", "a", "b")
    make(tmp_path / "two", "train/c", "val/d")
    train, val = segmentation_split(MaskFolders(data=tmp_path / "one"), tmp_path / "two")
    assert (names(train), names(val)) == (["a", "b"], ["d"])


def test_evaluation_takes_the_val_part_or_all(tmp_path):
    make(tmp_path / "one", "train/a", "val/b")
    make(tmp_path / "two", "c", "d")
    assert names(segmentation_images(MaskFolders(data=tmp_path / "one"), CLASSES)) == ["b"]
    assert names(segmentation_images(MaskFolders(data=tmp_path / "two"), CLASSES)) == ["c", "d"]


def test_a_png_wins_over_another_mask_of_the_same_name(tmp_path):
    make(tmp_path, "a", "b")
    Image.new("L", (6, 4)).save(tmp_path / "masks" / "a.bmp")
    assert segmentation_images(MaskFolders(data=tmp_path), CLASSES).masks[0].name == "a.png"


def test_evaluation_reads_masks_as_the_training_did(tmp_path):
    make(tmp_path, "a", shift=1)
    trained = SegmentationClasses(names=NAMES, colors=distinct_colors(NAMES), reduce_zero_label=True)
    assert segmentation_images(MaskFolders(data=tmp_path), trained).classes == trained
    with pytest.raises(InputError, match="1 of 1 images and masks cannot be used"):
        segmentation_images(MaskFolders(data=tmp_path, reduce_zero_label=False), trained)


def test_evaluation_on_other_classes(tmp_path):
    make(tmp_path, "a")
    (tmp_path / "classes.yaml").write_text("names: [sky, dog, cat]\n")
    with pytest.raises(InputError, match="the data has 3 classes and the model 3: 'dog' here, 'cat' there") as caught:
        segmentation_images(MaskFolders(data=tmp_path), CLASSES)
    assert caught.value.expected == "the classes of the model: sky, cat, dog"


def test_masks_of_one_class_need_names(tmp_path):
    make(tmp_path, "a", "b")
    with pytest.raises(InputError, match="the masks hold fewer than two classes"):
        segmentation_split(MaskFolders(data=tmp_path, ignore_index=2, reduce_zero_label=True))


def test_images_without_masks_are_skipped_on_request(tmp_path, capsys):
    make(tmp_path, "train/a", "train/b", "val/c")
    (tmp_path / "masks" / "train" / "a.png").unlink()
    with pytest.raises(InputError, match="1 of 3 images and masks cannot be used"):
        segmentation_split(MaskFolders(data=tmp_path))
    train, val = segmentation_split(MaskFolders(data=tmp_path, on_error="skip"))
    assert (names(train), names(val)) == (["b"], ["c"])
    assert "1 of 3 images are skipped" in capsys.readouterr().out
    (tmp_path / "masks" / "val" / "c.png").rename(tmp_path / "masks" / "val" / "d.png")
    with pytest.raises(InputError, match=r"none of the 1 images has a mask: .* is c\.jpg, the first mask d\.png"):
        segmentation_split(MaskFolders(data=tmp_path, on_error="skip"))


@pytest.mark.parametrize(
    ("setup", "what"),
    [
        (lambda folder: None, "this folder does not exist"),
        (lambda folder: (folder / "photos").mkdir(parents=True), "no folder images in this folder, which has photos"),
        (lambda folder: make(folder, "a", masks="truth"), "no folder masks or annotations or labels"),
        (lambda folder: make(folder, "a"), "there is only one image"),
        (lambda folder: make(make(folder, "train/a"), "val/b", masks="masks/other"), "the masks have none"),
        (lambda folder: (make(folder, "train/a"), (folder / "images/val").mkdir()), "the masks have none"),
    ],
)
def test_folders_that_are_wrong(tmp_path, setup, what):
    setup(tmp_path / "data")
    with pytest.raises(InputError) as caught:
        segmentation_split(MaskFolders(data=tmp_path / "data"))
    assert what in caught.value.what
    assert caught.value.expected
    assert caught.value.fix
