"""Damaged masks, and files that say what they mean, end with the project's own error."""

import io
import json

import numpy as np
import pytest
from fuzzing import Labels, check_reading
from PIL import Image

from fastitpn.data.segmentation.formats.registry import format_of
from fastitpn.data.segmentation.images import MaskFolders, segmentation_split
from fastitpn.errors import InputError

LABELS = np.arange(24, dtype=np.uint8).reshape(4, 6) % 3
COLORS = np.array([[0, 0, 0], [250, 50, 83], [51, 221, 255]], np.uint8)
SEGMENTS = np.stack([LABELS + 1, LABELS * 0, LABELS * 0], -1)


def encoded(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


PICTURE = encoded(np.zeros((4, 6, 3), np.uint8), "JPEG")
IMAGES = {f"images/{name}.jpg": PICTURE for name in "ab"}
NUMBERS = {**IMAGES, **{f"masks/{name}.png": encoded(LABELS) for name in "ab"}}
COLORED = {**IMAGES, **{f"masks/{name}.png": encoded(COLORS[LABELS]) for name in "ab"}}
YAML = "names: {0: a, 1: b, 2: c}\ncolors: {a: [0, 0, 0], b: '#ff0000', c: blue}\nignore_index: 255\n"
PANOPTIC = {
    "images": [{"id": number, "file_name": f"{number}.jpg", "width": 6, "height": 4} for number in (1, 2)],
    "annotations": [
        {
            "image_id": number,
            "file_name": f"{number}.png",
            "segments_info": [{"id": k, "category_id": k, "iscrowd": 0, "area": 8} for k in (1, 2, 3)],
        }
        for number in (1, 2)
    ],
    "categories": [{"id": k, "name": f"n{k}", "isthing": k % 2} for k in (1, 2, 3)],
}
DATA = {
    "masks": (NUMBERS, (".png",)),
    "colours": ({**COLORED, "labelmap.txt": b"a:0,0,0::\nb:250,50,83::\nc:51,221,255::\n"}, (".png", ".txt")),
    "table": ({**COLORED, "class_dict.csv": b"name,r,g,b\na,0,0,0\nb,250,50,83\nc,51,221,255\n"}, (".csv",)),
    "classes.yaml": ({**NUMBERS, "classes.yaml": YAML.encode()}, (".yaml",)),
    "lists": (
        {
            **{
                name.replace("images", "JPEGImages").replace("masks", "SegmentationClass"): NUMBERS[name]
                for name in NUMBERS
            },
            "ImageSets/Segmentation/train.txt": b"a\n",
            "ImageSets/Segmentation/val.txt": b"b\n",
        },
        (".txt",),
    ),
    "panoptic": (
        {
            **{f"train2017/{number}.jpg": PICTURE for number in (1, 2)},
            **{f"annotations/panoptic_train2017/{number}.png": encoded(SEGMENTS) for number in (1, 2)},
            "annotations/panoptic_train2017.json": json.dumps(PANOPTIC).encode(),
        },
        (".json", ".png"),
    ),
}


def read(folder):
    """As training does, and as doctor does; the latter also goes on behind what training stops at."""
    folders = MaskFolders(data=folder)
    form = format_of(folders, "train", "val")
    try:
        segmentation_split(folders)
    except InputError:
        for part in form.parts(folders, folders.read_classes(), None)[0].values():
            for index in range(len(part.images)):
                part.labels(index)


@pytest.mark.parametrize("kind", DATA)
def test_only_the_projects_own_error_comes_out(kind, tmp_path):
    files, damaged = DATA[kind]
    check_reading(Labels(files=files, read=read, damaged=damaged), tmp_path, rounds=30)
