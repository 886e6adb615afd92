"""Small data sets of right labels in every format that is read: contents by path, to be damaged."""

import io
import json
from typing import Any

import coco_example
import numpy as np
from boxes_example import voc_object
from PIL import Image

HEIGHT, WIDTH = 20, 30
PLACES = np.indices((HEIGHT, WIDTH)).sum(0)
NUMBERS = (PLACES // 9 % 3).astype(np.uint8)
"""A mask of three classes."""
COLORS = np.array([[0, 0, 0], [250, 50, 83], [51, 221, 255]], np.uint8)

Files = dict[str, bytes]


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """An image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def picture(number: int) -> bytes:
    """A photograph, so to say: none is like another."""
    shape = (HEIGHT, WIDTH, 3)
    return encoded(np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8), "JPEG")


def pictures(*names: str) -> Files:
    """Photographs of these names."""
    return {name: picture(number) for number, name in enumerate(names)}


def text(**files: str) -> Files:
    """Text files; in their names, `_in_` is a slash and `__` a dot."""
    return {name.replace("_in_", "/").replace("__", "."): content.encode() for name, content in files.items()}


def in_json(content: Any) -> bytes:
    return json.dumps(content).encode()


PNGS = {f"images/{number}.png": encoded(np.full((HEIGHT, WIDTH, 3), number, np.uint8)) for number in (5, 6, 9)}

_COCO = coco_example.content()
_COCO["annotations"].append(_COCO["annotations"][0] | {"id": 12, "image_id": 9})
_SHAPES = [
    {"label": "dog", "points": [[4, 3], [20, 9]], "shape_type": "rectangle", "group_id": None},
    {"label": "cat", "points": [[4, 3], [20, 3], [20, 9]], "shape_type": "polygon", "group_id": 1},
    {"label": "cat", "points": [[10, 10], [12, 12]], "shape_type": "circle"},
]
_LABELME = {"shapes": _SHAPES, "imagePath": "images/5.png", "imageWidth": 30, "imageHeight": 20, "imageData": None}
_SIZE = {"original_width": 30, "original_height": 20}
_RUNS = f"{HEIGHT * WIDTH * 4:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}111{HEIGHT * WIDTH * 4 - 1:016b}{255:08b}"
_BRUSH = [int(_RUNS[place : place + 8].ljust(8, "0"), 2) for place in range(0, len(_RUNS), 8)]
"""All of the picture, as Label Studio packs it."""
_REGIONS = [
    _SIZE
    | {"type": "rectanglelabels", "value": {"x": 1, "y": 2, "width": 30, "height": 40, "rectanglelabels": ["dog"]}},
    _SIZE | {"type": "polygonlabels", "value": {"points": [[1, 2], [50, 2], [50, 60]], "polygonlabels": ["cat"]}},
    _SIZE | {"type": "brushlabels", "value": {"rle": _BRUSH, "brushlabels": ["cat"]}},
]
_TASKS = [
    {"id": number, "data": {"image": f"images/{number}.png"}, "annotations": [{"completed_by": 1, "result": regions}]}
    for number, regions in ((5, _REGIONS[:2]), (6, _REGIONS[1:]), (9, _REGIONS))
]
_CVAT = (
    '<annotations><image id="0" name="5.png" width="30" height="20" subset="train">'
    '<box label="dog" xtl="4" ytl="3" xbr="20.0" ybr="9" rotation="5"/><polygon label="dog" points="4,3;20,3;20,9"/>'
    '<mask label="cat" rle="1, 3, 3, 1" left="4" top="3" width="4" height="2"/>'
    '<ellipse label="dog" cx="10" cy="10" rx="4" ry="3"/></image>'
    '<image id="1" name="6.png" subset="val"><box label="cat" xtl="4" ytl="3" xbr="20" ybr="9"/></image></annotations>'
)
_VOC_SIZE = "<size><width>30</width><height>20</height><depth>3</depth></size>"


def _voc(name: str, *objects: str) -> bytes:
    return f"<annotation><filename>{name}.jpg</filename>{_VOC_SIZE}{''.join(objects)}</annotation>".encode()


_PART = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
_VOC_OBJECTS = {
    "a": (voc_object("dog", 1, 1, 30, 20, _PART), voc_object("car", 11, 6, 20, 10, "<difficult>1</difficult>")),
    "b": (),
    "c": (voc_object("dog", 3, 4, 12, 13),),
}
_YOLO = {
    **pictures("images/train/a.jpg", "images/train/b.jpg", "images/train/c.jpg", "images/val/d.jpg"),
    **{
        f"labels/{name}.txt": content
        for name, content in {
            "train/a": b"1 0.5 0.5 0.2 0.5\n0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6\n",
            "train/b": b"\n",
            "val/d": b"0 0.25 0.25 0.5 0.5\n",
        }.items()
    },
}

BOXES: dict[str, Files] = {
    "coco": {**PNGS, "labels.json": in_json(_COCO)},
    "voc": {
        **pictures(*(f"JPEGImages/{name}.jpg" for name in _VOC_OBJECTS)),
        **{f"Annotations/{name}.xml": _voc(name, *objects) for name, objects in _VOC_OBJECTS.items()},
        **text(
            ImageSets_in_Main_in_train__txt="a\nb\n",
            ImageSets_in_Main_in_val__txt="c\n",
            ImageSets_in_Main_in_dog_train__txt="a  1\nb -1\n",
        ),
    },
    "yolo with data.yaml": {
        **_YOLO,
        "data.yaml": b"names: {0: dog, 1: car}\npath: /elsewhere\ntrain: images/train\nval: [images/val]\n",
    },
    "yolo with classes.txt": {
        **_YOLO,
        "classes.txt": b"dog\ncar\n",
        "labels/train/c.txt": b"0 .2 .2 .4 .2 .4 .5 .2 .5",
    },
    "darknet": {
        **pictures("data/a.jpg", "data/b.jpg"),
        **text(
            obj__data="classes = 2\ntrain = train.txt\nvalid = valid.txt\nnames = obj.names\n",
            obj__names="dog\ncar\n",
            train__txt="data/a.jpg\n",
            valid__txt="data/b.jpg\n",
            data_in_a__txt="1 0.5 0.5 0.2 0.5\n",
            data_in_b__txt="0 0.5 0.5 0.2 0.5\n",
        ),
    },
    "boxes in a table": {
        **PNGS,
        "boxes.csv": b"image,xmin,ymin,xmax,ymax,label,split\nimages/5.png,4,3,20,9,dog,train\n"
        b"images/6.png,4,3,20,9,cat,val\nimages/9.png,,,,,,train\n",
    },
    "labelme": {
        **PNGS,
        **{f"{number}.json": in_json(_LABELME | {"imagePath": f"images/{number}.png"}) for number in (5, 6)},
    },
    "label studio": {**PNGS, "project.json": in_json(_TASKS)},
    "cvat": {**PNGS, "annotations.xml": _CVAT.encode()},
}
"""By format; each is read from the folder."""

_IMAGES = pictures(*(f"images/{name}.jpg" for name in "abc"))
_NUMBERED = {**_IMAGES, **{f"masks/{name}.png": encoded(NUMBERS) for name in "abc"}}
_COLORED = {**_IMAGES, **{f"masks/{name}.png": encoded(COLORS[NUMBERS]) for name in "abc"}}
_SEGMENTS = np.stack([NUMBERS + 1, NUMBERS * 0, NUMBERS * 0], -1)


def _panoptic(number: int) -> bytes:
    segments = [{"id": k, "category_id": k, "iscrowd": 0, "area": 8, "bbox": [0, 0, 9, 9]} for k in (1, 2, 3)]
    return in_json(
        {
            "images": [{"id": number, "file_name": f"{number}.jpg", "width": WIDTH, "height": HEIGHT}],
            "annotations": [{"image_id": number, "file_name": f"{number}.png", "segments_info": segments}],
            "categories": [{"id": k, "name": f"n{k}", "isthing": k % 2} for k in (1, 2, 3)],
        }
    )


CLASS_FILES: dict[str, Files] = {
    "classes.yaml": {
        **_NUMBERED,
        "classes.yaml": b"names: {0: a, 1: b, 2: c}\ncolors: {a: [0, 0, 0], b: '#ff0000', c: blue}\nignore_index: 7\n",
    },
    "labelmap.txt": {**_COLORED, "labelmap.txt": b"a:0,0,0::\nb:250,50,83::\nc:51,221,255::\n"},
    "class_dict.csv": {**_COLORED, "class_dict.csv": b"name,r,g,b\na,0,0,0\nb,250,50,83\nc,51,221,255\n"},
    "_classes.csv": {**_NUMBERED, "_classes.csv": b"Pixel Value, Class\n0, a\n1, b\n2, c\n"},
    "label_colors.txt": {**_COLORED, "label_colors.txt": b"0 0 0\ta\n250 50 83\tb\n51 221 255\tc\n"},
    "obj_class_to_machine_color.json": {
        **_COLORED,
        "obj_class_to_machine_color.json": b'{"a": [0, 0, 0], "b": [250, 50, 83], "c": [51, 221, 255]}',
    },
    "objectInfo150.txt": {
        **_NUMBERED,
        "objectInfo150.txt": b"Idx\tRatio\tTrain\tVal\tName\n1\t0.1\t1\t2\twall, x\n2\t0.1\t1\t2\tsky\n",
    },
    "class_names.txt": {**_NUMBERED, "class_names.txt": b"a\nb\nc\n"},
}
"""Masks by the file that names their classes, which alone is damaged."""

MASKS: dict[str, Files] = {
    "masks of numbers": _NUMBERED,
    "masks of colours": {**_COLORED, "labelmap.txt": CLASS_FILES["labelmap.txt"]["labelmap.txt"]},
    "voc masks": {
        **{name.replace("images", "JPEGImages"): content for name, content in _IMAGES.items()},
        **{f"SegmentationClass/{name}.png": encoded(NUMBERS) for name in "abc"},
        **text(
            ImageSets_in_Segmentation_in_train__txt="a\nc\n",
            ImageSets_in_Segmentation_in_val__txt="b\n",
        ),
    },
    "panoptic": {
        **pictures("train2017/1.jpg", "val2017/2.jpg"),
        "annotations/panoptic_train2017/1.png": encoded(_SEGMENTS),
        "annotations/panoptic_val2017/2.png": encoded(_SEGMENTS),
        "annotations/panoptic_train2017.json": _panoptic(1),
        "annotations/panoptic_val2017.json": _panoptic(2),
    },
    "coco as masks": BOXES["coco"],
}
"""By format."""

_CLASSIFIED = pictures(*(f"{name}/{number}.jpg" for name in ("cat", "dög") for number in range(3)))
_NAMES = {name: name.split("/")[0] for name in _CLASSIFIED}

TABLES: dict[str, Files] = {
    name: {**_CLASSIFIED, "labels.csv": content.encode()}
    for name, content in {
        "table": "image,label\n" + "".join(f"{name},{label}\n" for name, label in _NAMES.items()),
        "table with parts": "path;split;class\n"
        + "".join(f"{name};{'val' if '0' in name else 'train'};{label}\n" for name, label in _NAMES.items()),
    }.items()
}
LABEL_SETS: dict[str, Files] = {
    name: {**_CLASSIFIED, "labels.csv": content.encode()}
    for name, content in {
        "label sets": "image,labels\n" + "".join(f"{name},{label}|round\n" for name, label in _NAMES.items()),
        "label columns": "image,cat,dög\n"
        + "".join(f"{name},{label == 'cat':d},{label != 'cat':d}\n" for name, label in _NAMES.items()),
    }.items()
}
LISTS: dict[str, Files] = {"list": {**_CLASSIFIED, "train.txt": "".join(f"{name}\n" for name in _CLASSIFIED).encode()}}
