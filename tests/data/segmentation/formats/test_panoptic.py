"""COCO's panoptic annotations as labels of pixels, and as segments."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damaging import resize_header
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses, distinct_colors
from fastitpn.data.segmentation.datasets import SegmentEvaluationDataset
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images, segmentation_split
from fastitpn.data.segmentation.panoptic_codes import crowd_code, thing_code
from fastitpn.data.segmentation.panoptic_labels import read_segments
from fastitpn.data.segmentation.transforms import SegmentationEval
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


@pytest.mark.parametrize(("no", "yes"), [("0", "1"), (False, True), ("false", "True"), (0.0, 1.0), (None, 1)])
def test_flags_are_what_they_plainly_mean(tmp_path, no, yes):
    def change(content):
        for segment in content["annotations"][0]["segments_info"]:
            segment["iscrowd"] = yes if segment["iscrowd"] else no
        for category in content["categories"]:
            category["isthing"] = yes if category["isthing"] else no

    make(tmp_path, "val2017", change=change)
    images = segmentation_images(MaskFolders(data=tmp_path, panoptic=True))
    assert (images.classes.things, images.labels(0)[1].tolist()) == (("cat",), [IGNORE, 0, 1, 1])


def test_ids_that_are_texts(tmp_path):
    def change(content):
        for number, name in enumerate(("aachen_1", "aachen_0")):
            content["images"][number]["id"] = content["annotations"][number]["image_id"] = name
        content["images"].append({"file_name": "2.jpg"})
        content["annotations"][0]["segments_info"][1]["category_id"] = "s"
        content["categories"][0]["id"] = "s"

    make(tmp_path, "val2017", count=2, change=change)
    images = segmentation_images(MaskFolders(data=tmp_path, panoptic=True))
    assert [path.name for path in images.images] == ["0.jpg", "1.jpg"]
    assert (images.classes.names, images.classes.things) == (("cat", "sky"), ("cat",))
    assert images.labels(0)[1].tolist() == [IGNORE, 0, 1, 1]


def test_segments_of_another_size_are_not_decoded(tmp_path):
    file = make(tmp_path, "val2017")
    resize_header(file.with_suffix("") / "0.png", 9000, 9000)
    with pytest.raises(InputError, match=r"0\.png is 9000x9000 px, 0\.jpg 4x3 px"):
        segmentation_images(MaskFolders(data=tmp_path))


def test_segments_of_one_channel(tmp_path):
    file = make(tmp_path, "val2017", change=lambda content: content["annotations"][0]["segments_info"].pop(1))
    numbers = np.where(np.array(ROWS) == SKY, 0, ROWS).astype(np.uint16)
    Image.fromarray(numbers).save(file.with_suffix("") / "0.png")
    assert segmentation_images(MaskFolders(data=tmp_path)).labels(0)[1].tolist() == [IGNORE, 0, IGNORE, IGNORE]


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
        (
            lambda made: made["annotations"][1]["segments_info"].pop(),
            r"1\.png: segment 300, image 1: 3 pixels of it, and segments_info has no such id",
        ),
        (
            lambda made: made["annotations"][1]["segments_info"][1].update(category_id=5),
            r"1\.png: segment 70000, image 1: its category 5 is none of the categories",
        ),
        (lambda made: made["annotations"][1].update(file_name="no.png"), r"no\.png: there is no such file"),
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
    assert "1 image left out" in capsys.readouterr().out


def test_segments_of_another_size(tmp_path):
    file = make(tmp_path)
    Image.new("RGB", (5, 3)).save(tmp_path / "train2017" / "0.jpg")
    with pytest.raises(InputError, match=r"0.png is 4x3 px, 0.jpg 5x3 px"):
        segmentation_images(MaskFolders(data=file))


class TestPanoptic:
    """Segments, and not classes alone."""

    def test_codes_by_hand(self, tmp_path):
        """Things have numbers, stuff has none; a crowd is of no class, and of its own class no false alarm."""
        make(tmp_path, "val2017")
        images = segmentation_images(MaskFolders(data=tmp_path, panoptic=True))
        assert (images.classes.things, images.classes.counted) == (("cat",), (True, False))
        cat, sky, herd = thing_code(0, 1), 1, crowd_code(0)
        expected = [[IGNORE, cat, cat, sky], [herd, cat, sky, sky], [herd, herd, sky, sky]]
        assert images.codes(0).tolist() == expected
        assert images.codes(0).dtype == np.int32
        assert set(np.unique(images.labels(0))) == {0, 1, IGNORE}

    def test_data_sets_give_codes(self, tmp_path):
        make(tmp_path, "val2017")
        normal = SegmentationEval(mean=(0.5,) * 3, std=(0.5,) * 3)
        for panoptic, numbers in ((False, {0, 1, IGNORE}), (True, {1, 256, IGNORE, crowd_code(0)})):
            images = segmentation_images(MaskFolders(data=tmp_path, panoptic=panoptic))
            assert set(SegmentEvaluationDataset(images, normal)[0]["mask"].unique().tolist()) == numbers

    def test_things_are_those_of_the_file(self, tmp_path):
        file = make(tmp_path, count=4)
        train, val = segmentation_split(MaskFolders(data=file, panoptic=True), val_ratio=0.25)
        assert train.classes == val.classes
        assert train.classes.things == ("cat",)
        assert segmentation_images(MaskFolders(data=file), train.classes).codes(0).max() > IGNORE

    def test_other_data_has_no_segments(self, segment_scenes, detect_scenes):
        for data in (segment_scenes, detect_scenes):
            with pytest.raises(InputError, match="no panoptic annotations in this data"):
                segmentation_split(MaskFolders(data=data, panoptic=True))
            with pytest.raises(InputError, match="no panoptic annotations in this data"):
                segmentation_images(MaskFolders(data=data, panoptic=True))

    def test_scenes(self, panoptic_scenes):
        """Stuff is one segment, of two channels are made the ids, and areas and boxes are right."""
        train, val = segmentation_split(MaskFolders(data=panoptic_scenes, panoptic=True))
        assert (len(train), len(val)) == (10, 5)
        assert train.classes.names == ("background", "mammal", "produce", "building", "plant")
        assert train.classes.things == ("mammal", "produce", "building")
        listed = json.loads((panoptic_scenes / "annotations" / "panoptic_val.json").read_text())["annotations"]
        for one in listed:
            ids = read_segments(panoptic_scenes / "annotations" / "panoptic_val" / one["file_name"])
            assert {segment["id"] for segment in one["segments_info"]} == set(np.unique(ids))
            for segment in one["segments_info"]:
                assert segment["area"] == (ids == segment["id"]).sum()
        assert max(segment["id"] for one in listed for segment in one["segments_info"]) > 255


def test_several_problems_of_an_image_leave_out_one(tmp_path, capsys):
    def change(made):
        made["annotations"][1] = {**made["annotations"][1], "segments_info": []}

    file = make(tmp_path, count=3, change=change)
    assert len(segmentation_images(MaskFolders(data=file, on_error="skip"))) == 2
    assert "1 image left out (3 x unknown segment)" in capsys.readouterr().out


def test_an_image_of_the_same_name_in_another_folder_is_never_taken(tmp_path):
    make(tmp_path, count=2, change=lambda content: content["images"][1].update(file_name="cam2/0.jpg"))
    with pytest.raises(InputError, match=r"(?s)file that cannot be read.*cam2/0\.jpg"):
        segmentation_split(MaskFolders(data=tmp_path), val_ratio=0.5)


def test_flags_that_say_nothing_are_named(tmp_path):
    make(
        tmp_path / "a",
        "val2017",
        change=lambda content: content["annotations"][0]["segments_info"][0].update(iscrowd="maybe"),
    )
    with pytest.raises(InputError, match="the iscrowd of segment 7 is 'maybe', neither 0 nor 1"):
        segmentation_images(MaskFolders(data=tmp_path / "a"))
    make(tmp_path / "b", "val2017", change=lambda content: content["categories"][1].update(isthing=2))
    with pytest.raises(InputError, match="the isthing of the category 'cat' is 2"):
        segmentation_images(MaskFolders(data=tmp_path / "b"))


def test_a_file_in_utf_16(tmp_path):
    file = make(tmp_path, "val2017")
    file.write_text(file.read_text(), encoding="utf-16")
    assert set(segmentation_images(MaskFolders(data=tmp_path)).classes.names) == {"cat", "sky"}


def test_a_part_train_alone_is_evaluated_on(tmp_path, capsys):
    make(tmp_path)
    images = segmentation_images(MaskFolders(data=tmp_path, panoptic=True))
    assert len(images) == 1
    assert "evaluated on the part train" in capsys.readouterr().out
