"""A small data set in COCO's format, to be spoilt in one place by each test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.detection.formats.coco import coco_part
from fastitpn.data.detection.problems import OnError, stop_or_say
from fastitpn.data.detection.reading import scan

WIDTH, HEIGHT = 30, 20
POLYGON = [[4.0, 3.0, 20.0, 3.0, 20.0, 9.0, 4.0, 9.0]]
Content = dict[str, list[dict[str, Any]]]


def content() -> Content:
    """Three images of 30x20 px, the last without anything; categories 3 and 18; ids 7, 8 and 11."""

    def thing(number: int, image: int, category: int, box: list[float], **more: Any) -> dict[str, Any]:
        known = {"id": number, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0}
        return known | {"segmentation": [list(POLYGON[0])], "area": 96.0} | more

    crowd = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * 2, HEIGHT * (WIDTH - 2)]}
    return {
        "images": [{"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in (5, 6, 9)],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
        "annotations": [
            thing(7, 5, 18, [4, 3, 16, 6]),
            thing(8, 6, 3, [4, 3, 16, 6]),
            thing(11, 5, 3, [0, 0, 2, HEIGHT], iscrowd=1, segmentation=crowd, area=40.0),
        ],
    }


def write(folder: Path, change: Callable[[Content], object] | None = None, name: str = "annotations.json") -> Path:
    """Writes it, with images of random pixels, after a change; returns the file of annotations."""
    folder.mkdir(parents=True, exist_ok=True)
    made = content()
    for image in made["images"]:
        pixels = np.random.default_rng(image["id"]).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / image["file_name"])
    if change is not None:
        change(made)
    (folder / name).write_text(json.dumps(made))
    return folder / name


def scan_coco(file: Path, images: Path, **keys: Any) -> DetectionImages:
    """A file of annotations with the images in a folder; what is wrong is left out."""
    return scan(coco_part(file, images), **keys)


def read_coco(file: Path, images: Path, on_error: OnError = "stop", **keys: Any) -> DetectionImages:
    """The same, which stops at what is wrong or says so."""
    annotated = scan_coco(file, images, **keys)
    stop_or_say(annotated.problems, on_error, left_out=annotated.left_out)
    return annotated
