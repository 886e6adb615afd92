"""The forms in which scenes are written: plain images, a folder per class, COCO JSON, index masks, panoptic PNGs."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from fastitpn.data.scenes.compose import Scene
from fastitpn.data.scenes.labels import CLASSES
from fastitpn.data.scenes.studio import Studio
from fastitpn.data.segmentation.panoptic_codes import colors_of_ids

Done = Callable[[], None]

_JPEG_QUALITY = 90


def write_unlabelled(studio: Studio, folder: Path, count: int, done: Done) -> None:
    """Writes `unlabelled/000000.jpg` and so on: one or two objects of any class, or of none."""
    _make(folder / "unlabelled")
    for index, scene in enumerate(studio.several([*CLASSES, *["other"] * 3], count, (1, 2), (0.5, 0.95))):
        _save(scene, folder / "unlabelled" / f"{index:06}.jpg")
        done()


def write_classify(
    studio: Studio, folder: Path, split: str, classes: Sequence[str], per_class: int, done: Done
) -> None:
    """Writes `classify/{split}/{class}/0000.jpg` and so on."""
    for label in classes:
        _make(folder / "classify" / split / label)
    for index, (label, scene) in enumerate(studio.single(classes, per_class * len(classes))):
        _save(scene, folder / "classify" / split / label / f"{index // len(classes):04}.jpg")
        done()


def write_detect(studio: Studio, folder: Path, split: str, classes: Sequence[str], count: int, done: Done) -> None:
    """Writes `detect/{split}/000000.jpg` and so on, and `detect/annotations_{split}.json` in COCO's format."""
    images: list[dict] = []
    annotations: list[dict] = []
    _make(folder / "detect" / split)
    for index, scene in enumerate(studio.several(classes, count, objects=(1, 6))):
        name = f"{index:06}.jpg"
        _save(scene, folder / "detect" / split / name)
        images.append({"id": index + 1, "file_name": name, "width": scene.image.width, "height": scene.image.height})
        for number, glyph in enumerate(scene.glyphs, start=1):
            annotation = {"id": len(annotations) + 1, "image_id": index + 1}
            annotation |= {"category_id": classes.index(glyph.label) + 1, "iscrowd": 0}
            annotations.append(annotation | describe_mask(scene.instances == number))
        done()
    categories = [{"id": number, "name": label} for number, label in enumerate(classes, start=1)]
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
    (folder / "detect" / f"annotations_{split}.json").write_text(json.dumps(content))


def write_segment(studio: Studio, folder: Path, split: str, classes: Sequence[str], count: int, done: Done) -> None:
    """Writes `segment/{images,masks}/{split}/000000.{jpg,png}` and so on, and `segment/classes.yaml`."""
    _make(folder / "segment" / "images" / split)
    _make(folder / "segment" / "masks" / split)
    for index, scene in enumerate(studio.several(classes, count, objects=(1, 6))):
        _save(scene, folder / "segment" / "images" / split / f"{index:06}.jpg")
        class_of = np.array([0, *(classes.index(glyph.label) + 1 for glyph in scene.glyphs)], np.uint8)
        Image.fromarray(class_of[scene.instances]).save(folder / "segment" / "masks" / split / f"{index:06}.png")
        done()
    names = dict(enumerate(("background", *classes)))
    (folder / "segment" / "classes.yaml").write_text(yaml.safe_dump({"names": names}, sort_keys=False))


def write_panoptic(studio: Studio, folder: Path, split: str, classes: Sequence[str], count: int, done: Done) -> None:
    """Writes `panoptic/{split}/000000.jpg`, `panoptic/annotations/panoptic_{split}.json` and its PNGs, as COCO does.

    The background is stuff, and so is the last class: all of it in a scene is one segment.
    """
    pngs = folder / "panoptic" / "annotations" / f"panoptic_{split}"
    _make(folder / "panoptic" / split)
    _make(pngs)
    names = ("background", *classes)
    images: list[dict] = []
    annotations: list[dict] = []
    for index, scene in enumerate(studio.several(classes, count, objects=(1, 6))):
        file = f"{index:06}.jpg"
        _save(scene, folder / "panoptic" / split / file)
        images.append({"id": index + 1, "file_name": file, "width": scene.image.width, "height": scene.image.height})
        labels = [0, *(classes.index(glyph.label) + 1 for glyph in scene.glyphs)]
        # As in COCO, ids are any numbers but 0, and take more than one channel.
        ids = [1 + (label if label in (0, len(classes)) else 300 * place) for place, label in enumerate(labels)]
        segments = np.array(ids, np.int32)[scene.instances]
        annotations.append(
            {
                "image_id": index + 1,
                "file_name": f"{index:06}.png",
                "segments_info": [
                    {"id": number, "category_id": label + 1, "iscrowd": 0, **_area_and_box(segments == number)}
                    for number, label in dict(zip(ids, labels, strict=True)).items()
                    if (segments == number).any()
                ],
            }
        )
        Image.fromarray(colors_of_ids(segments)).save(pngs / f"{index:06}.png")
        done()
    categories = [
        {"id": number, "name": name, "isthing": int(name not in (names[0], names[-1]))}
        for number, name in enumerate(names, start=1)
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    pngs.with_suffix(".json").write_text(json.dumps(content))


def _area_and_box(mask: NDArray[np.bool_]) -> dict:
    described = describe_mask(mask)
    return {name: described[name] for name in ("area", "bbox")}


def describe_mask(mask: NDArray[np.bool_]) -> dict:
    """COCO's fields for the pixels of one thing.

    Args:
        mask: [H, W], with at least one pixel.

    Returns:
        `bbox` (left, top, width, height), `area`, and `segmentation`: run lengths, column by column, from 0 on.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    flat = np.concatenate([[False], mask.ravel(order="F")])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "area": int(mask.sum()),
        "segmentation": {"size": list(mask.shape), "counts": runs.tolist()},
    }


def _make(folder: Path) -> None:
    folder.mkdir(parents=True)


def _save(scene: Scene, path: Path) -> None:
    scene.image.save(path, quality=_JPEG_QUALITY)
