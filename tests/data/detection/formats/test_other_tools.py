"""LabelMe, Label Studio, CVAT and tables of boxes: what tools export is read with the right boxes and masks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boxes_example import picture

import fastitpn
from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.detection.formats.label_studio_brush import decode_brush
from fastitpn.data.detection.formats.registry import open_annotations, recognise
from fastitpn.data.detection.images import detection_images, detection_split
from fastitpn.data.detection.masks import unpack_masks
from fastitpn.data.images.named_files import NamedFiles
from fastitpn.errors import InputError

WIDTH, HEIGHT = 30, 20  # of the pictures


def read(data: Path, form: str, **keys: Any) -> DetectionImages:
    assert recognise(data) == form
    return detection_images(data, **keys)


def boxes(images: DetectionImages, index: int = 0) -> list[list[float]]:
    return [[round(side, 2) for side in box] for box in images.annotations(index).boxes.tolist()]


def area(images: DetectionImages, place: int = 0) -> int:
    """Pixels of a mask of the first image."""
    return int(unpack_masks(images.annotations(0).masks or [], HEIGHT, WIDTH)[place].sum())


def labelme(data: Path, *shapes: dict[str, Any], name: str = "a", **more: Any) -> Path:
    picture(data / f"{name}.jpg")
    content = {"version": "5", "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None}
    (data / f"{name}.json").write_text(json.dumps(content | {"imageWidth": WIDTH, "imageHeight": HEIGHT} | more))
    return data


def shape(kind: str, *points: list[float], label: Any = "dog", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None} | more


SQUARE = [4, 3], [20, 3], [20, 9], [4, 9]


class TestLabelMe:
    @pytest.mark.parametrize(
        ("shapes", "expected"),
        [
            ([shape("rectangle", [20, 9], [4, 3])], [4, 3, 20, 9]),
            ([shape("polygon", *SQUARE)], [4, 3, 20, 9]),
            ([shape("circle", [10, 10], [13, 14])], [5, 5, 15, 15]),
            ([shape("linestrip", [4, 3], [9, 9], [20, 4])], [4, 3, 20, 9]),
            ([shape("polygon", *SQUARE[:3], group_id=1), shape("polygon", *SQUARE[1:], group_id=1)], [4, 3, 20, 9]),
            ([shape("polygon", ["4", "3"], ["20", "3"], ["20", "9"])], [4, 3, 20, 9]),
        ],
    )
    def test_shapes(self, tmp_path, shapes, expected):
        images = read(labelme(tmp_path, *shapes), "labelme", with_masks=False)
        assert boxes(images) == [expected]
        assert images.classes.names == ("dog",)

    def test_outlines_are_masks(self, tmp_path):
        images = read(labelme(tmp_path, shape("polygon", *SQUARE), shape("circle", [10, 10], [13, 14])), "labelme")
        assert area(images) == 96
        assert area(images, 1) == pytest.approx(np.pi * 25, abs=3)

    def test_parts_and_a_stale_name_inside(self, tmp_path):
        labelme(tmp_path / "train", shape("rectangle", *SQUARE[::2]), name="a", imagePath="..\\photos\\b.jpg")
        labelme(tmp_path / "train", name="b")
        labelme(tmp_path / "valid", shape("rectangle", [1, 2], [3, 4], label=7), shape("rectangle", [1, 2], [9, 4]))
        labelme(tmp_path / "test", shape("rectangle", *SQUARE[::2]), name="c")
        train, val = detection_split(tmp_path, with_masks=False)
        assert [path.name for path in train.paths] == ["a.jpg", "b.jpg"]
        assert [len(train.annotations(index)) for index in range(2)] == [1, 0]
        assert boxes(val) == [[1, 2, 3, 4], [1, 2, 9, 4]]
        assert val.classes.names == ("7", "dog")
        assert [path.name for path in detection_images(tmp_path, part="testing").paths] == ["c.jpg"]

    def test_what_is_wrong(self, tmp_path):
        labelme(tmp_path, shape("point", [4, 3]), shape("polygon", [1, 1], [2, 2]), shape("rectangle", *SQUARE[::2]))
        labelme(tmp_path, name="b", imageWidth=31)
        labelme(tmp_path, shape("point", [4, 3]), name="c")
        labelme(tmp_path, name="d", imageData="abc", imagePath="gone.jpg")
        (tmp_path / "d.jpg").unlink()
        (tmp_path / "e.json").write_text('{"shapes": ')
        with pytest.raises(InputError) as caught:
            read(tmp_path, "labelme")
        for text in (
            "shape 0 (dog) is a 'point', which has no area",
            "is 30x20 px, the labels are for 31x20",
            "imageData",
        ):
            assert text in caught.value.where
        images = read(tmp_path, "labelme", on_error="skip")
        assert [path.name for path in images.paths] == ["a.jpg"]  # c is not taught as empty
        assert boxes(images) == [[4, 3, 20, 9]]

    def test_doctor_and_convert(self, tmp_path):
        labelme(tmp_path / "data", shape("polygon", *SQUARE))
        assert fastitpn.doctor(tmp_path / "data", out=tmp_path / "doctor").form == "LabelMe"
        assert fastitpn.convert_data(data=tmp_path / "data", out=tmp_path / "coco").num_masks == 1


def region(kind: str, labels: list[str], **value: Any) -> dict[str, Any]:
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    return {"type": kind, "value": value | {kind: labels}, **size}


def label_studio(file: Path, *results: dict[str, Any], image: str = "/data/upload/4/a.jpg", **more: Any) -> Path:
    picture(file.parent / "images" / "a.jpg")
    task = {"id": 1, "data": {"image": image}, "annotations": [{"completed_by": 1, "result": results}], **more}
    file.write_text(json.dumps([task]))
    return file


def packed(mask: np.ndarray) -> list[int]:
    """As Label Studio packs it: RGBA, runs and single values."""
    values = np.repeat(mask.astype(int).ravel() * 255, 4).tolist()
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size:04b}" for size in (2, 3, 7, 15))
    start = 0
    while start < len(values):
        end = next((place for place in range(start, len(values)) if values[place] != values[start]), len(values))
        bits += (
            f"111{end - start - 1:016b}{values[start]:08b}"
            if end - start > 4
            else (f"000{end - start - 1:03b}" + "".join(f"{value:08b}" for value in values[start:end]))
        )
        start = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


class TestLabelStudio:
    @pytest.mark.parametrize(
        ("result", "expected"),
        [
            (region("rectanglelabels", ["dog"], x=10, y=20, width=50, height=30), [3, 4, 18, 10]),
            (region("rectanglelabels", ["dog"], x=50, y=20, width=50, height=20, rotation=90), [11, 4, 15, 19]),
            (region("polygonlabels", ["dog"], points=[[10, 20], [60, 20], [60, 50]]), [3, 4, 18, 10]),
            (region("ellipselabels", ["dog"], x=50, y=50, radiusX=20, radiusY=30), [9, 4, 21, 16]),
        ],
    )
    def test_regions(self, tmp_path, result, expected):
        file = label_studio(tmp_path / "project.json", result, {"type": "choices", "value": {"choices": ["good"]}})
        for data in (file, tmp_path):
            images = read(data, "label_studio", with_masks=False)
            assert boxes(images) == [expected]
            assert images.paths == [tmp_path / "images" / "a.jpg"]

    def test_brush(self, tmp_path):
        mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
        mask[3:9, 4:20] = True
        mask[15, 1] = True
        file = label_studio(tmp_path / "a.json", region("brushlabels", ["dog"], format="rle", rle=packed(mask)))
        images = read(file, "label_studio")
        assert (boxes(images), area(images)) == ([[1, 3, 20, 16]], 97)
        assert decode_brush(packed(mask)[:-9], HEIGHT, WIDTH) is None
        assert decode_brush(packed(mask), WIDTH, WIDTH) is None

    def test_cancelled_and_second_annotations(self, tmp_path):
        box = region("rectanglelabels", ["dog"], x=10, y=20, width=50, height=30)
        other = region("rectanglelabels", ["cat"], x=0, y=0, width=50, height=30)
        annotations = [{"was_cancelled": True, "result": [other]}, {"result": [box]}, {"result": [other]}]
        images = read(label_studio(tmp_path / "a.json", annotations=annotations), "label_studio", with_masks=False)
        assert images.classes.names == ("dog",)
        assert "task 1 has 2 annotations: the first is used" in images.notes

    def test_the_short_form(self, tmp_path):
        picture(tmp_path / "a.jpg")
        box = {"x": 10, "y": 20, "width": 50, "height": 30, "rectanglelabels": ["dog"], "original_width": WIDTH}
        task = {"image": "https://host.example/x/a.jpg?token=12", "id": 1, "label": [box], "annotator": 1}
        (tmp_path / "min.json").write_text(json.dumps([task]))
        assert boxes(read(tmp_path, "label_studio", with_masks=False)) == [[3, 4, 18, 10]]

    def test_what_is_wrong(self, tmp_path):
        bad = region("rectanglelabels", ["dog"], x="left", y=20, width=50, height=30)
        with pytest.raises(InputError, match="1 x region that cannot be used") as caught:
            read(label_studio(tmp_path / "a.json", bad), "label_studio")
        assert "task 0, region 0 (dog)" in caught.value.where


def cvat(data: Path, *shapes: str, subsets: tuple[str, ...] = ("",)) -> Path:
    images = []
    for number, subset in enumerate(subsets):
        picture(data / "images" / subset / f"{number}.jpg")
        named = f'subset="{subset}"' if subset else ""
        size = f'width="{WIDTH}" height="{HEIGHT}"'
        images.append(f'<image id="{number}" name="{number}.jpg" {size} {named}>{"".join(shapes)}</image>')
    (data / "annotations.xml").write_text(f"<annotations><version>1.1</version>{''.join(images)}</annotations>")
    return data


class TestCvat:
    @pytest.mark.parametrize(
        ("text", "expected", "pixels"),
        [
            ('<box label="dog" xtl="4" ytl="3" xbr="20.0" ybr="9"/>', [4, 3, 20, 9], None),
            ('<box label="dog" xtl="8" ytl="4" xbr="20" ybr="10" rotation="90.0"/>', [11, 1, 17, 13], 72),
            ('<polygon label="dog" points="4,3;20,3;20,9;4,9"/>', [4, 3, 20, 9], 96),
            ('<ellipse label="dog" cx="10" cy="10" rx="4" ry="3"/>', [6, 7, 14, 13], 38),
            ('<mask label="dog" rle="1, 3, 3, 1" left="4" top="3" width="4" height="2"/>', [5, 3, 8, 5], 4),
        ],
    )
    def test_shapes(self, tmp_path, text, expected, pixels):
        images = read(cvat(tmp_path, text, '<tag label="night"/>'), "cvat")
        assert boxes(images) == [expected]
        assert (area(images) if images.has_masks else None) == pytest.approx(pixels, abs=3 if pixels == 38 else 0)

    def test_subsets_are_parts(self, tmp_path):
        box = '<box label="dog" xtl="4" ytl="3" xbr="20.0" ybr="9"/>'
        train, val = detection_split(cvat(tmp_path, box, subsets=("Train", "Validation", "test")), with_masks=False)
        assert [path.name for part in (train, val) for path in part.paths] == ["0.jpg", "1.jpg"]

    def test_what_is_wrong(self, tmp_path):
        with pytest.raises(InputError, match="2 problems") as caught:
            read(cvat(tmp_path, '<points label="dog" points="1,2"/>', '<mask label="dog" rle="x"/>'), "cvat")
        assert "image 0, points 0 (dog) has no area" in caught.value.where
        (tmp_path / "annotations.xml").write_text("<annotations><track/></annotations>")
        with pytest.raises(InputError, match="this is CVAT for video"):
            read(tmp_path, "cvat")


BOX = [[4, 3, 20, 9]]
TABLES = {
    "usual": "image,xmin,ymin,xmax,ymax,label\na.jpg,4,3,20,9,dog\nb.jpg,,,,,\n",
    "semicolons": "image;xmin;ymin;xmax;ymax;label\na.jpg;4;3;20;9;dog\nb.jpg;;;;;\n",
    "tabs": "image\txmin\tymin\txmax\tymax\tlabel\na.jpg\t4\t3\t20\t9\tdog\nb.jpg\t\t\t\t\t\n",
    "tensorflow": "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,30,20,dog,4,3,20,9\nb.jpg,30,20,,,,,\n",
    "retinanet": "a.jpg,4,3,20,9,dog\nb.jpg,,,,,\n",
    "sides": "image_id,x,y,w,h,label\na,4,3,16,6,dog\nb,,,,,\n",
    "width and height": "Image,X,Y,Width,Height,Label\na.jpg,4,3,16,6,dog\nb.jpg,,,,,\n",
    "middle": "path,x_center,y_center,width,height,class\na.jpg,12,6,16,6,dog\nb.jpg,,,,,\n",
    "box": 'image_id,width,height,bbox,label\na,30,20,"[4, 3, 16, 6]",dog\nb,30,20,,\n',
    "shares": "ImageID,XMin,XMax,YMin,YMax,LabelName\na,0.2,0.8,0.25,0.5,dog\nb,,,,,\n",
    "paths": 'image,xmin,ymin,xmax,ymax,label\n"images\\a.jpg",4,3,20,9,dog\n/home/u/b.jpg,,,,,\n',
}


class TestTable:
    @pytest.mark.parametrize("name", TABLES)
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_columns(self, tmp_path, name, encoding):
        for letter in "ab":
            picture(tmp_path / "images" / f"{letter}.jpg")
        (tmp_path / "boxes.csv").write_text(TABLES[name], encoding=encoding)
        for data in (tmp_path / "boxes.csv", tmp_path):
            images = read(data, "csv", with_masks=False)
            assert boxes(images) == ([[6, 5, 24, 10]] if name == "shares" else BOX)
            assert [path.name for path in images.paths] == ["a.jpg", "b.jpg"]

    def test_parts(self, tmp_path):
        for name in ("train", "val", "test"):
            picture(tmp_path / name / "a.jpg")
            (tmp_path / name / "_annotations.csv").write_text(TABLES["tensorflow"].rsplit("b.jpg")[0])
        assert [len(part) for part in detection_split(tmp_path, with_masks=False)] == [1, 1]

    def test_a_column_of_parts(self, tmp_path):
        picture(tmp_path / "a.jpg")
        picture(tmp_path / "b.jpg")
        rows = "image,split,xmin,ymin,xmax,ymax,label\na.jpg,Training,4,3,20,9,dog\nb.jpg,valid,4,3,20,9,dog\n"
        (tmp_path / "boxes.csv").write_text(rows)
        assert [part.paths[0].name for part in detection_split(tmp_path, with_masks=False)] == ["a.jpg", "b.jpg"]

    def test_what_is_wrong(self, tmp_path):
        picture(tmp_path / "a.jpg")
        picture(tmp_path / "b.jpg")
        rows = [
            "a.jpg,4,3,x,9,dog",
            "a.jpg,4,3,20,9,dog",
            ",1,1,2,2,dog",
            "b.jpg,40,3,50,9,dog",
            "gone.jpg,1,1,2,2,dog",
        ]
        (tmp_path / "boxes.csv").write_text("\n".join(["image,xmin,ymin,xmax,ymax,label", *rows]))
        with pytest.raises(InputError, match="4 problems") as caught:
            read(tmp_path, "csv")
        assert "line 2 (dog) has no four numbers" in caught.value.where
        images = read(tmp_path, "csv", on_error="skip", with_masks=False)
        assert ([path.name for path in images.paths], boxes(images)) == (["a.jpg"], BOX)
        assert images.left_out == (2, 2)  # b.jpg and gone.jpg; lines 2 and 4

    def test_a_row_with_more_cells_than_columns_is_named(self, tmp_path):
        picture(tmp_path / "a.jpg")
        rows = "image,xmin,ymin,xmax,ymax,label\na.jpg,4,3,20,9,dog\na.jpg,4,3,20,9,dog,old\na.jpg,4,3,20,9,dog,\n"
        (tmp_path / "boxes.csv").write_text(rows)
        with pytest.raises(InputError, match="1 problem") as caught:
            read(tmp_path, "csv")
        assert "line 3 has more cells than there are columns" in caught.value.where

    @pytest.mark.parametrize("text", ["image,label\na.jpg,dog\n", "", "a.jpg,dog\n", "a,b,c,d,e,f\n1,x,y,z,0,0\n"])
    def test_other_tables_are_none(self, tmp_path, text):
        (tmp_path / "labels.csv").write_text(text)
        assert recognise(tmp_path / "labels.csv") is None


def test_a_name_that_is_nowhere_is_looked_for_as_it_is(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(NamedFiles, "find", lambda files, name: asked.append(name))
    (tmp_path / "a.csv").write_text("image,xmin,ymin,xmax,ymax,label\na.jpg,1,2,3,4,dog\n")
    open_annotations(tmp_path)
    assert asked == ["a.jpg"]
