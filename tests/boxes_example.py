"""Small data sets of Pascal VOC and YOLO."""

from pathlib import Path

import yaml
from PIL import Image


def voc_object(name: str, left: int, top: int, right: int, bottom: int, more: str = "") -> str:
    box = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def voc_file(path: Path, *objects: str, image: str | None = None, width: int = 30) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = f"<size><width>{width}</width><height>20</height><depth>3</depth></size>"
    text = f"<annotation><filename>{image or path.stem + '.jpg'}</filename>{size}{''.join(objects)}</annotation>"
    path.write_text(text)


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), "gray").save(path)


def write_voc(data: Path) -> Path:
    """As published: lists of images, corners that count from 1."""
    for name in ("a", "b", "c"):
        picture(data / "JPEGImages" / f"{name}.jpg")
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    objects = voc_object("dog", 1, 1, 30, 20, part), voc_object("car", 11, 6, 20, 10, "<difficult>1</difficult>")
    voc_file(data / "Annotations" / "a.xml", *objects)
    voc_file(data / "Annotations" / "b.xml")
    voc_file(data / "Annotations" / "c.xml", voc_object("dog", 3, 4, 12, 13))
    lists = data / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    (lists / "dog_train.txt").write_text("a  1\nb -1\n")
    return data


def write_yolo(data: Path) -> Path:
    """Boxes, an outline, an empty file and a missing one."""
    for part, name in (("train", "a"), ("train", "b"), ("train", "c"), ("val", "d")):
        picture(data / "images" / part / f"{name}.jpg")
        (data / "labels" / part).mkdir(parents=True, exist_ok=True)
    (data / "labels" / "train" / "a.txt").write_text("1 0.5 0.5 0.2 0.5\n0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6\n")
    (data / "labels" / "train" / "b.txt").write_text("\n")
    (data / "labels" / "val" / "d.txt").write_text("0 0.25 0.25 0.5 0.5\n")
    names = {"names": {0: "dog", 1: "car"}, "path": "/elsewhere", "train": "images/train", "val": "images/val"}
    (data / "data.yaml").write_text(yaml.safe_dump(names))
    return data
