"""Damaged files of boxes never end in a traceback: `pytest tests/data/detection/test_damaged_boxes.py --fuzz=5000`."""

import io
import json
from pathlib import Path

import pytest
from coco_example import content
from fuzzing import Labels, check_reading
from PIL import Image

from fastitpn.data.detection.formats.registry import open_annotations
from fastitpn.data.detection.masks import unpack_masks
from fastitpn.data.detection.problems import stop_or_say
from fastitpn.data.detection.reading import scan

FILE = io.BytesIO()
Image.new("RGB", (30, 20), "gray").save(FILE, "PNG")
PICTURES = {f"images/{number}.png": FILE.getvalue() for number in (5, 6, 9)}
SHAPES = [
    {"label": "dog", "points": [[4, 3], [20, 9]], "shape_type": "rectangle", "group_id": None},
    {"label": "cat", "points": [[4, 3], [20, 3], [20, 9]], "shape_type": "polygon", "group_id": 1},
    {"label": "cat", "points": [[10, 10], [12, 12]], "shape_type": "circle"},
]
LABELME = {"shapes": SHAPES, "imagePath": "images/5.png", "imageWidth": 30, "imageHeight": 20, "imageData": None}
SIZE = {"original_width": 30, "original_height": 20}
REGIONS = [
    SIZE
    | {"type": "rectanglelabels", "value": {"x": 1, "y": 2, "width": 30, "height": 40, "rectanglelabels": ["dog"]}},
    SIZE | {"type": "polygonlabels", "value": {"points": [[1, 2], [50, 2], [50, 60]], "polygonlabels": ["cat"]}},
    SIZE | {"type": "brushlabels", "value": {"rle": [0, 0, 9, 96, 56, 30] * 9, "brushlabels": ["cat"]}},
]
TASKS = [
    {
        "id": number,
        "data": {"image": f"images/{number}.png"},
        "annotations": [{"completed_by": 1, "result": REGIONS[:2]}],
    }
    for number in (5, 6, 9)
] + [{"id": 5, "data": {"image": "images/5.png"}, "annotations": [{"result": REGIONS}]}]
CVAT = (
    '<annotations><image id="0" name="5.png" width="30" height="20" subset="train">'
    '<box label="dog" xtl="4" ytl="3" xbr="20.0" ybr="9" rotation="5"/><polygon label="dog" points="4,3;20,3;20,9"/>'
    '<mask label="cat" rle="1, 3, 3, 1" left="4" top="3" width="4" height="2"/>'
    '<ellipse label="dog" cx="10" cy="10" rx="4" ry="3"/></image><image id="1" name="6.png"/></annotations>'
)
BOXES = "image,xmin,ymin,xmax,ymax,label\nimages/5.png,4,3,20,9,dog\nimages/6.png,4,3,20,9,cat\nimages/9.png,,,,,\n"


def read(folder: Path) -> None:
    """As doctor does, and a training that leaves out what is wrong."""
    parts = open_annotations(folder)
    for name in parts.names:
        part = parts.find(name)
        assert part is not None
        images = scan(part)
        stop_or_say(images.problems, "skip", left_out=images.left_out)
        for index in range(len(images)):
            unpack_masks(images.annotations(index).masks or [], *images.size(index))


LABELS = {
    "coco": Labels(files={**PICTURES, "labels.json": json.dumps(content()).encode()}, read=read),
    "labelme": Labels(
        files={**PICTURES, **{f"{number}.json": json.dumps(LABELME).encode() for number in (5, 6)}}, read=read
    ),
    "label_studio": Labels(files={**PICTURES, "project.json": json.dumps(TASKS).encode()}, read=read),
    "cvat": Labels(files={**PICTURES, "annotations.xml": CVAT.encode()}, read=read),
    "csv": Labels(files={**PICTURES, "boxes.csv": BOXES.encode()}, read=read),
}


@pytest.mark.parametrize("name", LABELS)
def test_damaged_labels_raise_the_own_error_or_none(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_reading(LABELS[name], tmp_path, request.config.getoption("--fuzz") // 4 // len(LABELS))
