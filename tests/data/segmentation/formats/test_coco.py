"""COCO's annotations as labels of pixels."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from coco_example import HEIGHT, WIDTH, write
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses, distinct_colors
from fastitpn.data.segmentation.datasets import SegmentEvaluationDataset
from fastitpn.data.segmentation.formats.coco import is_coco
from fastitpn.data.segmentation.formats.registry import format_of
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images, segmentation_split
from fastitpn.data.segmentation.transforms import SegmentationEval
from fastitpn.errors import InputError


def rectangle(left: int, top: int, right: int, bottom: int) -> dict:
    """In the corners' pixels; `area` is wrong, and not looked at."""
    corners = [left, top, right, top, right, bottom, left, bottom]
    return {
        "bbox": [left, top, right - left, bottom - top],
        "segmentation": [list(map(float, corners))],
        "area": 1.0,
        "iscrowd": 0,
    }


def trained(*names: str) -> SegmentationClasses:
    return SegmentationClasses(names=names, colors=distinct_colors(names))


def all_of(file: Path, **keys):
    return segmentation_images(MaskFolders(data=file, **keys))


def test_labels_by_hand(tmp_path):
    """Background 0, car 1, dog 2; a crowd is left out, but for the dog in it; the smaller thing is on top."""

    def change(made):
        crowd = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * 5, HEIGHT * (WIDTH - 5)]}
        made["annotations"] = [
            {"id": 1, "image_id": 5, "category_id": 18} | rectangle(3, 2, 9, 6),
            {"id": 2, "image_id": 5, "category_id": 3} | rectangle(6, 1, 26, 15),
            {"id": 3, "image_id": 5, "category_id": 3}
            | {"bbox": [0, 0, 5, HEIGHT], "segmentation": crowd, "area": 100.0, "iscrowd": 1},
        ]

    images = all_of(write(tmp_path, change))
    assert images.classes.names == ("background", "car", "dog")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, :5] = IGNORE
    expected[1:15, 6:26] = 1
    expected[2:6, 3:9] = 2
    assert np.array_equal(images.labels(0), expected)
    labels = np.concatenate([images.labels(index).ravel() for index in range(len(images))])
    assert images.pixels() == np.bincount(labels, minlength=256)[:3].tolist()
    assert not images.labels(2).any()  # an image without anything is background


def test_without_a_background(tmp_path):
    images = all_of(write(tmp_path), reduce_zero_label=True)
    assert images.classes.names == ("car", "dog")
    assert set(np.unique(images.labels(1))) == {0, IGNORE}


def test_a_category_of_that_name_is_the_background(tmp_path):
    file = write(tmp_path, lambda made: made["categories"][0].update(name="background"))
    images = all_of(file)
    assert images.classes.names == ("background", "car")
    assert set(np.unique(images.labels(0))) == {0, IGNORE}


def test_labels_are_those_of_the_model_by_name(tmp_path):
    model = trained("tree", "dog", "car")
    images = segmentation_images(MaskFolders(data=write(tmp_path)), model)
    assert images.classes.names == model.names
    assert set(np.unique(images.labels(1))) == {2, IGNORE}  # which knows no background
    with pytest.raises(InputError, match="categories that are none of the classes: dog"):
        segmentation_images(MaskFolders(data=write(tmp_path)), trained("background", "car"))


def test_a_file_of_classes_gives_order_and_colours(tmp_path):
    file = write(tmp_path)
    (tmp_path / "names.yaml").write_text("names: [background, dog, car]\ncolors: {dog: '#010203'}\n")
    images = all_of(file, classes=tmp_path / "names.yaml")
    assert images.classes.names == ("background", "dog", "car")
    assert images.classes.colors[1] == (1, 2, 3)
    assert set(np.unique(images.labels(1))) == {0, 2}


def test_parts_of_a_folder(tmp_path):
    for part in ("train", "val"):
        write(tmp_path / part).rename(tmp_path / f"annotations_{part}.json")
    train, val = segmentation_split(MaskFolders(data=tmp_path))
    assert (len(train), len(val)) == (3, 3)
    assert train.classes == val.classes
    assert train.images[0].parent.name == "train"


def test_some_are_held_out_of_a_single_file(tmp_path):
    train, val = segmentation_split(MaskFolders(data=write(tmp_path), images=Path(".")), val_ratio=0.4, seed=1)
    assert len(train) + len(val) == 3


def test_masks_in_folders_come_first(tmp_path):
    file = write(tmp_path)
    assert is_coco(file)
    assert is_coco(tmp_path)
    assert not is_coco(tmp_path / "nothing")
    (tmp_path / "masks").mkdir()
    Image.new("L", (6, 4)).save(tmp_path / "masks" / "a.png")
    assert not is_coco(tmp_path)


def test_boxes_alone_are_an_error_that_says_so(tmp_path):
    file = write(tmp_path, lambda made: [thing.pop("segmentation") for thing in made["annotations"]])
    with pytest.raises(InputError, match="no annotation of this file has a mask"):
        all_of(file)


def test_what_is_wrong_is_named_or_left_out(tmp_path, capsys):
    def change(made):
        made["annotations"][0]["segmentation"] = [[1.0, 2.0]]

    file = write(tmp_path, change)
    with pytest.raises(InputError, match="mask that cannot be used"):
        all_of(file)
    assert len(all_of(file, on_error="skip")) == 3
    assert "1 annotation left out" in capsys.readouterr().out


def test_workers_get_a_copy(tmp_path):
    images = all_of(write(tmp_path))
    dataset = SegmentEvaluationDataset(images, SegmentationEval(mean=(0.5,) * 3, std=(0.5,) * 3))
    again = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(again[0]["mask"], images.labels(0))
    assert again[0]["image"].shape == (3, HEIGHT, WIDTH)


def test_masks_and_annotations_of_the_same_scene_agree(tmp_path):
    """An index mask written from the labels is read as the same labels."""
    images = all_of(write(tmp_path / "coco"))
    for kind in ("images", "masks"):
        (tmp_path / "png" / kind).mkdir(parents=True)
    for number, path in enumerate(images.images):
        (tmp_path / "png" / "images" / path.name).write_bytes(path.read_bytes())
        Image.fromarray(images.labels(number)).save(tmp_path / "png" / "masks" / path.name)
    names = {"names": list(images.classes.names)}
    (tmp_path / "png" / "classes.yaml").write_text(json.dumps(names))
    same = segmentation_images(MaskFolders(data=tmp_path / "png"), images.classes)
    assert all(np.array_equal(same.labels(place), images.labels(place)) for place in range(3))


def labelme(folder: Path) -> Path:
    for number in range(4):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{number}.png")
        shape = {"label": "cat", "points": [[3, 2], [13, 2], [13, 12], [3, 12]], "shape_type": "polygon"}
        content = {"shapes": [shape], "imagePath": f"{number}.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}
        (folder / f"{number}.json").write_text(json.dumps(content))
    return folder


def yolo(folder: Path) -> Path:
    outline = " ".join(str(value) for corner in ((3, 2), (13, 2), (13, 12), (3, 12)) for value in corner_share(corner))
    for number in range(4):
        for kind in ("images", "labels"):
            (folder / kind / "train").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images" / "train" / f"{number}.png")
        (folder / "labels" / "train" / f"{number}.txt").write_text(f"0 {outline}\n")
    (folder / "data.yaml").write_text("train: images/train\nnames: [cat]\n")
    return folder


def corner_share(corner: tuple[int, int]) -> tuple[float, float]:
    return corner[0] / WIDTH, corner[1] / HEIGHT


@pytest.mark.parametrize("make", [labelme, yolo])
def test_outlines_of_other_tools(tmp_path, make):
    train, val = segmentation_split(MaskFolders(data=make(tmp_path)), val_ratio=0.3, seed=0)
    assert (train.classes.names, len(train), len(val)) == (("background", "cat"), 3, 1)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[2:12, 3:13] = 1
    assert np.array_equal(train.labels(0), expected)
    parts, classes = format_of(MaskFolders(data=tmp_path), "train").parts(
        MaskFolders(data=tmp_path), train.classes, None
    )
    assert ([len(part.images) for part in parts.values()], classes.names) == ([4], ("background", "cat"))
