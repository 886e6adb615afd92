"""COCO's panoptic annotations as labels of pixels."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastitpn.data.segmentation import MaskFolders, segmentation_images, segmentation_split
from fastitpn.data.segmentation_classes import IGNORE, SegmentationClasses, distinct_colors
from fastitpn.data.segmentation_panoptic import read_segments
from fastitpn.errors import InputError

CAT, SKY, HERD, NOTHING = 7, 70_000, 300, 0
ROWS = [[NOTHING, CAT, CAT, SKY], [HERD, CAT, SKY, SKY], [HERD, HERD, SKY, SKY]]


def make(folder: Path, part: str = "train2017", count: int = 1, change: Callable[[dict], object] | None = None) -> Path:
    """As COCO has it: `annotations/panoptic_PART.json`, its PNGs beside it, the images in `PART`."""
    pngs = folder / "annotations" / f"panoptic_{part}"
    pngs.mkdir(parents=True)
    (folder / part).mkdir()
    numbers = np.array(ROWS)
    pixels = np.stack([numbers % 256, numbers // 256 % 256, numbers // 256**2], -1).astype(np.uint8)
    segments = [
        {"id": CAT, "category_id": 17, "iscrowd": 0},
        {"id": SKY, "category_id": 187, "iscrowd": 0},
        {"id": HERD, "category_id": 17, "iscrowd": 1},
    ]
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 4, "height": 3} for n in range(count)],
        "annotations": [{"image_id": n, "file_name": f"{n}.png", "segments_info": segments} for n in range(count)],
        "categories": [{"id": 187, "name": "sky", "isthing": 0}, {"id": 17, "name": "cat", "isthing": 1}],
    }
    for number in range(count):
        Image.new("RGB", (4, 3)).save(folder / part / f"{number}.jpg")
        Image.fromarray(pixels).save(pngs / f"{number}.png")
    if change is not None:
        change(content)
    file = folder / "annotations" / f"panoptic_{part}.json"
    file.write_text(json.dumps(content))
    return file


def test_labels_by_hand(tmp_path):
    """What is no segment or a crowd is left out; ids are read from all three channels."""
    make(tmp_path, "val2017")
    images = segmentation_images(MaskFolders(data=tmp_path))
    assert images.classes.names == ("cat", "sky")
    expected = np.array([[IGNORE, 0, 0, 1], [IGNORE, 0, 1, 1], [IGNORE, IGNORE, 1, 1]])
    assert np.array_equal(images.labels(0), expected)
    assert images.labels(0).dtype == np.uint8
    assert np.array_equal(pickle.loads(pickle.dumps(images)).labels(0), expected)
    assert np.array_equal(read_segments(tmp_path / "annotations/panoptic_val2017/0.png"), ROWS)


def test_parts(tmp_path):
    make(tmp_path, "train2017", 2)
    make(tmp_path, "val2017", 1)
    train, val = segmentation_split(MaskFolders(data=tmp_path))
    assert (len(train), len(val)) == (2, 1)
    assert train.images[0].parent.name == "train2017"


def test_some_of_a_single_file_are_held_out(tmp_path):
    file = make(tmp_path, count=4)
    train, val = segmentation_split(MaskFolders(data=file), val_ratio=0.25)
    assert (len(train), len(val)) == (3, 1)
    other = make(tmp_path / "other", "extra", count=2)
    train, val = segmentation_split(MaskFolders(data=file), other)
    assert (len(train), len(val)) == (4, 2)


def test_labels_are_those_of_the_model_by_name(tmp_path):
    file = make(tmp_path)
    names = ("sky", "tree", "cat")
    images = segmentation_images(
        MaskFolders(data=file), SegmentationClasses(names=names, colors=distinct_colors(names))
    )
    assert set(np.unique(images.labels(0))) == {0, 2, IGNORE}
    with pytest.raises(InputError, match="none of the classes: cat"):
        segmentation_images(
            MaskFolders(data=file), SegmentationClasses(names=("sky", "sea"), colors=distinct_colors(("sky", "sea")))
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made["annotations"][1]["segments_info"].pop(), "unknown segment"),
        (lambda made: made["annotations"][1].update(file_name="no.png"), "file that cannot be read"),
        (lambda made: made["annotations"][1].update(image_id=99), "segments of a missing image"),
    ],
)
def test_what_is_wrong_is_named_or_left_out(tmp_path, capsys, change, message):
    def change_second(made):
        made["annotations"][1] = json.loads(json.dumps(made["annotations"][1]))
        change(made)

    file = make(tmp_path, count=3, change=change_second)
    with pytest.raises(InputError, match=message):
        segmentation_images(MaskFolders(data=file))
    assert len(segmentation_images(MaskFolders(data=file, on_error="skip"))) == 2
    assert "1 images are left out" in capsys.readouterr().out


def test_segments_of_another_size(tmp_path):
    file = make(tmp_path)
    Image.new("RGB", (5, 3)).save(tmp_path / "train2017" / "0.jpg")
    with pytest.raises(InputError, match=r"0.png is 4x3 px, 0.jpg 5x3 px"):
        segmentation_images(MaskFolders(data=file))
