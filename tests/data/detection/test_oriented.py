"""Oriented labels for detectors, which find upright boxes: read with the boxes around them, or named and counted."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from boxes_example import picture, voc_file
from coco_example import Content, write

from fastitpn.data.detection.formats.registry import recognise
from fastitpn.data.detection.images import detection_images
from fastitpn.data.detection.masks import is_turned_box
from fastitpn.errors import InputError

CORNERS = [15, 2, 19, 10, 15, 18, 11, 10]
"""A rhombus in an image of 30x20 pixels; none of its sides is upright or level."""
AROUND = [11, 2, 19, 18]


def coco(change: Callable[[dict], object]) -> Callable[[Path], Path]:
    """Each annotation of the example, changed."""

    def each(content: Content) -> None:
        content["annotations"] = [it for it in content["annotations"] if not it["iscrowd"]]
        for annotation in content["annotations"]:
            del annotation["segmentation"]
            change(annotation)

    return lambda data: write(data, each)


def without_box(annotation: dict) -> None:
    del annotation["bbox"]
    annotation["segmentation"] = [CORNERS]


def dota(data: Path, labels: str = "labelTxt", line: str = "small-dog 0") -> Path:
    picture(data / "images" / "a.png")
    (data / labels).mkdir(parents=True)
    corners = " ".join(f"{number:.1f}" for number in CORNERS)
    (data / labels / "a.txt").write_text(f"imagesource:GoogleEarth\ngsd:0.15\n{corners} {line}\n")
    return data


def yolo(line: str) -> Callable[[Path], Path]:
    def write_it(data: Path) -> Path:
        picture(data / "images" / "a.jpg")
        (data / "labels").mkdir()
        (data / "labels" / "a.txt").write_text(line)
        (data / "data.yaml").write_text("names: [dog]")
        return data

    return write_it


def voc(data: Path) -> Path:
    picture(data / "a.jpg")
    turned = f"<cx>15</cx><cy>10</cy><w>8</w><h>8</h><angle>{math.pi / 4}</angle>"
    voc_file(data / "a.xml", f"<object><name>dog</name><robndbox>{turned}</robndbox></object>")
    return data


def labelme(data: Path) -> Path:
    picture(data / "a.jpg")
    points = [CORNERS[place : place + 2] for place in range(0, 8, 2)]
    shapes = [{"label": "dog", "points": points, "shape_type": "rotation"}]
    (data / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.jpg"}))
    return data


def table(data: Path) -> Path:
    picture(data / "a.jpg")
    (data / "boxes.csv").write_text("image,cx,cy,w,h,angle,label\na.jpg,15,10,8,8,45,dog\na.jpg,15,10,8,8,0,dog\n")
    return data


IN_SHARES = " ".join(f"{number / (30, 20)[place % 2]:.6f}" for place, number in enumerate(CORNERS))


@pytest.mark.parametrize(
    ("write_it", "form", "around", "count"),
    [
        (coco(without_box), "coco", AROUND, 2),
        (coco(lambda it: it.update(bbox=CORNERS)), "coco", AROUND, 2),
        (coco(lambda it: it.update(bbox=[11, 2, 8, 16], segmentation=[CORNERS])), "coco", AROUND, 2),
        (dota, "dota", AROUND, 1),
        (lambda data: dota(data, "labels"), "dota", AROUND, 1),
        (yolo(f"0 {IN_SHARES}"), "yolo", AROUND, 1),
        (voc, "voc", [15 - 32**0.5, 10 - 32**0.5, 15 + 32**0.5, 10 + 32**0.5], 1),
        (labelme, "labelme", AROUND, 1),
    ],
    ids=["coco-outline", "coco-eight", "coco-both", "dota", "dota-labels", "yolo", "voc", "labelme"],
)
def test_the_boxes_around_are_taken_and_that_is_said(tmp_path, capsys, write_it, form, around, count):
    data = write_it(tmp_path / "data")
    assert recognise(data) == form
    images = detection_images(data, with_masks=False)
    said = capsys.readouterr().out.replace("\n", " ")
    assert images.annotations(0).boxes[0].tolist() == pytest.approx(around, abs=1e-3)
    assert f"{count} x oriented boxes (four corners, turned): boxes are the upright ones around them" in said
    assert "detector=mask_rcnn or maskdino learns the turned ones, as masks" in said


def test_detectors_with_masks_learn_the_turned_ones(tmp_path, capsys):
    images = detection_images(voc(tmp_path), with_masks=True)
    assert images.annotations(0).area.tolist() == pytest.approx([64], abs=4)
    assert "1 x oriented boxes (four corners, turned): boxes are the upright" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("write_it", "first", "what"),
    [
        (coco(lambda it: it.update(bbox=[15, 10, 8, 8, 45])), "2 x oriented box", "four corners as segmentation"),
        (table, "1 x oriented box", "line 2 (dog) has an angle, 45"),
        (yolo("0 0.5 0.5 0.2 0.4 45\n"), "1 x line of another form", "`class x0 y0 x1 y1 x2 y2 x3 y3`"),
    ],
    ids=["coco", "table", "yolo"],
)
def test_boxes_with_an_angle_are_refused_with_what_to_give(tmp_path, write_it, first, what):
    with pytest.raises(InputError) as caught:
        detection_images(write_it(tmp_path / "data"), with_masks=False)
    assert first in caught.value.what
    assert what in caught.value.where


@pytest.mark.parametrize("more", [{"rotation": 30}, {"attributes": {"rotation": 30.0}}], ids=["rotation", "cvat"])
def test_an_angle_beside_a_box_is_said(tmp_path, capsys, more):
    detection_images(coco(lambda it: it.update(more))(tmp_path), with_masks=False)
    assert "2 x boxes with an angle or rotation beside them, which is not used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("segmentation", "turned"),
    [
        ([CORNERS], True),
        ([[str(number) for number in CORNERS]], True),
        ([[4, 3, 20, 3, 20, 9, 4, 9]], False),
        ([[4, 3, 20, 3.5, 20, 9, 4, 8.5]], False),
        ([CORNERS, CORNERS], False),
        ([CORNERS[:6]], False),
        ({"size": [20, 30], "counts": [600]}, False),
        (None, False),
    ],
    ids=["turned", "texts", "upright", "nearly-upright", "two-parts", "triangle", "runs", "none"],
)
def test_what_an_oriented_box_is(segmentation, turned):
    assert is_turned_box(segmentation) is turned


class TestDota:
    @pytest.mark.parametrize(("line", "crowd"), [("dog 1", True), ("dog", False)])
    def test_difficult_objects_are_crowds(self, tmp_path, line, crowd):
        images = detection_images(dota(tmp_path, line=line))
        assert images.classes.names == ("dog",)
        assert images.annotations(0).crowd.tolist() == [crowd]

    def test_parts_are_folders(self, tmp_path):
        for part in ("train", "val"):
            dota(tmp_path / part, "annfiles")
        assert detection_images(tmp_path).paths == [tmp_path / "val" / "images" / "a.png"]

    def test_what_is_wrong_is_named(self, tmp_path):
        dota(tmp_path, line="dog 7")
        (tmp_path / "labelTxt" / "b.txt").write_text("1 2 3 4 5 6 7 8 dog 0\n")
        with pytest.raises(InputError) as caught:
            detection_images(tmp_path)
        assert "1 x line of another form, 1 x text file without its image" in caught.value.what
        assert "line 3: '15.0 2.0 19.0" in caught.value.where
