"""Folders in the layouts that people have them, with what training, evaluation and doctor read of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastitpn.console import printing
from fastitpn.data.segmentation.formats.registry import format_of
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images, segmentation_split
from fastitpn.errors import InputError

LABELS = np.arange(24, dtype=np.uint8).reshape(4, 6) % 3


def pair(folder: Path, image: str, mask: str | None, numbers=LABELS) -> None:
    (folder / image).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4)).save(folder / image)
    if mask is not None:
        (folder / mask).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(numbers).save(folder / mask)


def stems(images) -> list[str]:
    return [path.stem for path in images.images]


PARTED = [
    ("images/{}/a{}.jpg", "masks/{}/a{}.png"),
    ("{}/images/a{}.jpg", "{}/masks/a{}.png"),
    ("{}/img/a{}.jpg", "{}/Labels/a{}.png"),
    ("img_dir/{}/a{}.jpg", "ann_dir/{}/a{}.png"),
    ("{}/a{}.jpg", "{}_labels/a{}_L.png"),
    ("{}/a{}.jpg", "{}annot/a{}.png"),
    ("{}/a{}.jpg", "{}/a{}_mask.png"),
    ("JPEGImages/{}/a{}.jpg", "SegmentationClassPNG/{}/a{}.png"),
]


@pytest.mark.parametrize(("image", "mask"), PARTED)
@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Validation", "Testing")])
def test_parts(tmp_path, image, mask, names):
    for name in names:
        for number in (1, 2):
            pair(tmp_path, image.format(name, number), mask.format(name, number))
    train, val = segmentation_split(MaskFolders(data=tmp_path))
    assert all(names[0] in path.as_posix() for path in train.images)
    assert all(names[1] in path.as_posix() for path in val.images)
    assert (len(train), len(val), train.labels(0).tolist()) == (2, 2, LABELS.tolist())
    folders = MaskFolders(data=tmp_path)
    form = format_of(folders, "train")
    parts, _ = form.parts(folders, folders.read_classes(), None)  # as doctor sees it
    assert form.claims(folders)
    assert {name: len(part.images) for name, part in parts.items()} == {"train": 2, "val": 2, "test": 2}


def test_without_val_the_test_part_is_not_trained_on(tmp_path, capsys):
    for number in range(4):
        pair(tmp_path, f"images/train/{number}.jpg", f"masks/train/{number}.png")
        pair(tmp_path, f"images/test/t{number}.jpg", f"masks/test/t{number}.png")
    with printing():
        train, val = segmentation_split(MaskFolders(data=tmp_path), val_ratio=0.25)
    assert sorted(stems(train) + stems(val)) == ["0", "1", "2", "3"]
    assert "the part test is kept for evaluate" in capsys.readouterr().out
    assert stems(segmentation_images(MaskFolders(data=tmp_path))) == ["t0", "t1", "t2", "t3"]


def test_a_test_part_without_masks(tmp_path):
    for part in ("train", "val", "test"):
        pair(tmp_path, f"images/{part}/a.jpg", f"masks/{part}/a.png" if part != "test" else None)
    assert [len(part) for part in segmentation_split(MaskFolders(data=tmp_path))] == [1, 1]


def test_masks_of_no_image_are_counted(tmp_path, capsys):
    for name in "ab":
        pair(tmp_path, f"images/{name}.jpg", f"masks/{name}.png")
    Image.fromarray(LABELS).save(tmp_path / "masks" / "c.png")
    with printing():
        segmentation_images(MaskFolders(data=tmp_path))
    assert "1 masks have no image, such as c" in capsys.readouterr().out


class TestCityscapes:
    IDS = np.array([[7, 26, 0, 33]], np.uint8)

    def make(self, data: Path, *kinds: str, part: str = "train") -> None:
        for name in ("aachen_000000_000019", "aachen_000001_000019"):
            numbers = {"labelIds": self.IDS, "labelTrainIds": np.uint8([[0, 13, 255, 18]]), "color": self.IDS * 3}
            for kind in (*kinds, "color"):
                mask = data / "gtFine" / part / "aachen" / f"{name}_gtFine_{kind}.png"
                mask.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(numbers[kind]).save(mask)
            mask.with_name(f"{name}_gtFine_polygons.json").write_text(json.dumps({"objects": []}))
            image = data / "leftImg8bit" / part / "aachen" / f"{name}_leftImg8bit.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 1)).save(image)

    @pytest.mark.parametrize("kinds", [("labelIds", "labelTrainIds"), ("labelIds",)])
    @pytest.mark.parametrize("keys", [{}, {"images": Path("leftImg8bit"), "masks": Path("gtFine")}])
    def test_numbers_to_train_on(self, tmp_path, kinds, keys):
        for part in ("train", "val", "test"):
            self.make(tmp_path, *kinds, part=part)
        folders = MaskFolders(data=tmp_path, **keys)
        train, val = segmentation_split(folders)
        assert (len(train), len(val), len(segmentation_images(folders))) == (2, 2, 2)
        assert train.labels(1).tolist() == [[0, 13, 255, 18]]
        assert (train.classes.names[0], train.classes.names[13], len(train.classes.names)) == ("road", "car", 19)

    def test_without_masks(self, tmp_path):
        self.make(tmp_path)
        with pytest.raises(InputError, match=r"of aachen_.*_leftImg8bit.png it would be train/aachen/.*_labelTrainIds"):
            segmentation_split(MaskFolders(data=tmp_path))


class TestVOC:
    def make(self, data: Path, **lists: str) -> MaskFolders:
        for name in "abcde":
            pair(data, f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png" if name != "e" else None)
        folder = data / "ImageSets" / "Segmentation"
        folder.mkdir(parents=True)
        for part, names in lists.items():
            (folder / f"{part}.txt").write_text("\n".join(names) + "\n")
        return MaskFolders(data=data)

    def test_parts_by_lists(self, tmp_path):
        folders = self.make(tmp_path / "VOC2012", train="ac", val="b", trainval="abc")
        train, val = segmentation_split(folders)
        assert (stems(train), stems(val), len(train.classes.names)) == (["a", "c"], ["b"], 21)
        assert train.classes.names[20] == "tvmonitor"

    def test_other_classes_are_not_those_of_voc(self, tmp_path):
        train, _ = segmentation_split(self.make(tmp_path / "mine", train="ac", val="b"))
        assert train.classes.names == ("0", "1", "2")

    @pytest.mark.parametrize("name", ["trainval", "default"])
    def test_one_list(self, tmp_path, name):
        train, val = segmentation_split(self.make(tmp_path, **{name: "abd"}), val_ratio=0.3)
        assert sorted(stems(train) + stems(val)) == ["a", "b", "d"]

    def test_images_that_are_not_there(self, tmp_path):
        with pytest.raises(InputError, match="1 images of the lists are not there") as caught:
            segmentation_split(self.make(tmp_path, train="ax", val="b"))
        assert "train.txt: there is no image x" in caught.value.where


def test_cvat_by_its_labelmap(tmp_path):
    colors = np.uint8([[0, 0, 0], [250, 50, 83], [51, 221, 255]])
    for name in "ab":
        pair(tmp_path, f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png", colors[LABELS])
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\ncar:250,50,83::\nroad:51,221,255::\n")
    images = segmentation_images(MaskFolders(data=tmp_path))
    assert (images.classes.names, images.labels(0).tolist()) == (("background", "car", "road"), LABELS.tolist())


@pytest.mark.parametrize(("part", "names"), [(None, ["v"]), ("test", ["e"]), ("train", ["t"])])
def test_the_part_to_evaluate_on(tmp_path, part, names):
    for folder, name in (("train", "t"), ("val", "v"), ("test", "e")):
        pair(tmp_path, f"images/{folder}/{name}.jpg", f"masks/{folder}/{name}.png")
    assert stems(segmentation_images(MaskFolders(data=tmp_path, part=part))) == names


def test_a_suffix_that_is_given(tmp_path):
    for name in "ab":
        pair(tmp_path, f"images/{name}.jpg", f"masks/{name}_x{'ab'.index(name)}.png")
    with pytest.raises(InputError, match="none of the 2 images has a mask") as caught:
        segmentation_split(MaskFolders(data=tmp_path))
    assert "masks.suffix=" in caught.value.fix
    assert len(segmentation_images(MaskFolders(data=tmp_path, pattern="{stem}_x1", on_error="skip"))) == 1


def test_class_folders_are_no_masks(tmp_path):
    for name in ("train/cat/a", "train/dog/b", "val/cat/c", "val/dog/d"):
        pair(tmp_path, f"{name}.jpg", None)
    assert not format_of(MaskFolders(data=tmp_path), "train").claims(MaskFolders(data=tmp_path))
