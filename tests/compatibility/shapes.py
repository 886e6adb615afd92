"""The data of the stored runs: a few pictures of coloured shapes, the same to the bit wherever they are made."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("disc", "square", "triangle")
_PX = 48
_SHADES = ((200, 60, 50), (60, 170, 70), (70, 80, 210))
_UNLABELLED = 12
_PER_CLASS = {"train": 4, "val": 2}
_SCENES = {"train": 12, "val": 4}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture.

    Attributes:
        pixels: uint8 [H, W, 3].
        instances: For each pixel 0, or the number of the shape on it, from 1 on.
        labels: Class of each shape.
    """

    pixels: NDArray[np.uint8]
    instances: NDArray[np.int32]
    labels: tuple[int, ...]


def make_data(folder: Path) -> None:
    """Writes all data sets.

    They are `unlabelled`, `classify/{train,val}/CLASS`, `segment/{images,masks}/{train,val}` with `classes.yaml`,
    `panoptic` and `detect`, the last two as COCO has them.

    Args:
        folder: Where to; it may exist.
    """
    for number in range(_UNLABELLED):
        _save(draw(np.random.default_rng([0, number]), shapes=(1, 3)), folder / "unlabelled" / f"{number}.png")
    for place, part in enumerate(("train", "val"), start=1):
        for label, name in enumerate(CLASSES):
            for number in range(_PER_CLASS[part]):
                scene = draw(np.random.default_rng([place, label, number]), shapes=(1, 1), label=label)
                _save(scene, folder / "classify" / part / name / f"{number}.png")
        scenes = [draw(np.random.default_rng([2 + place, number]), shapes=(2, 4)) for number in range(_SCENES[part])]
        _write_segment(scenes, folder / "segment", part)
        _write_panoptic(scenes, folder / "panoptic", part)
        _write_detect(scenes, folder / "detect", part)


def draw(rng: np.random.Generator, *, shapes: tuple[int, int], label: int | None = None) -> Scene:
    """Shapes of random places, sizes and shades on noise.

    Args:
        rng: Decides everything.
        shapes: Fewest and most of them.
        label: Of all of them; None draws it.
    """
    rows, columns = np.mgrid[:_PX, :_PX]
    pixels = rng.integers(90, 150, (_PX, _PX, 3), dtype=np.uint8)
    instances = np.zeros((_PX, _PX), np.int32)
    labels: list[int] = []
    for number in range(1, int(rng.integers(shapes[0], shapes[1] + 1)) + 1):
        own = int(rng.integers(len(CLASSES))) if label is None else label
        row, column = (int(place) for place in rng.integers(10, _PX - 10, 2))
        half = int(rng.integers(8, 15))
        down, right = rows - row, columns - column
        inside = (
            down**2 + right**2 <= half**2,
            (abs(down) <= half) & (abs(right) <= half),
            (abs(down) <= half) & (2 * abs(right) <= down + half),
        )[own]
        shade = np.clip(np.array(_SHADES[own]) + rng.integers(-30, 31, 3), 0, 255)
        pixels[inside] = shade.astype(np.uint8)
        instances[inside] = number
        labels.append(own)
    return Scene(pixels=pixels, instances=instances, labels=tuple(labels))


def _write_segment(scenes: Sequence[Scene], folder: Path, part: str) -> None:
    for number, scene in enumerate(scenes):
        _save(scene, folder / "images" / part / f"{number}.png")
        mask = np.array([0, *(label + 1 for label in scene.labels)], np.uint8)[scene.instances]
        _save_array(mask, folder / "masks" / part / f"{number}.png")
    names = dict(enumerate(("background", *CLASSES)))
    (folder / "classes.yaml").write_text(yaml.safe_dump({"names": names}, sort_keys=False), encoding="utf-8")


def _write_panoptic(scenes: Sequence[Scene], folder: Path, part: str) -> None:
    """The background is stuff, shapes are things; ids take more than one channel of the PNG."""
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes):
        _save(scene, folder / part / f"{number}.png")
        segments = np.where(scene.instances == 0, 1, 1 + 300 * scene.instances)
        colors = np.stack([segments % 256, segments // 256 % 256, segments // 65536], axis=-1).astype(np.uint8)
        _save_array(colors, folder / "annotations" / f"panoptic_{part}" / f"{number}.png")
        there = [(1, 1), *((1 + 300 * place, label + 2) for place, label in enumerate(scene.labels, start=1))]
        found = [
            {"id": id_, "category_id": category, "iscrowd": 0, **_area_and_box(segments == id_)}
            for id_, category in there
            if (segments == id_).any()
        ]
        annotations.append({"image_id": number + 1, "file_name": f"{number}.png", "segments_info": found})
    categories = [
        {"id": id_, "name": name, "isthing": int(id_ > 1)} for id_, name in enumerate(("background", *CLASSES), start=1)
    ]
    _write_json(scenes, annotations, categories, folder / "annotations" / f"panoptic_{part}.json")


def _write_detect(scenes: Sequence[Scene], folder: Path, part: str) -> None:
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes):
        _save(scene, folder / part / f"{number}.png")
        for place, label in enumerate(scene.labels, start=1):
            mask = scene.instances == place
            if mask.any():
                own = {"id": len(annotations) + 1, "image_id": number + 1, "category_id": label + 1, "iscrowd": 0}
                annotations.append(own | _area_and_box(mask) | {"segmentation": _run_lengths(mask)})
    categories = [{"id": id_, "name": name} for id_, name in enumerate(CLASSES, start=1)]
    _write_json(scenes, annotations, categories, folder / f"annotations_{part}.json")


def _write_json(scenes: Sequence[Scene], annotations: list[Any], categories: list[Any], path: Path) -> None:
    images = [
        {"id": number + 1, "file_name": f"{number}.png", "width": _PX, "height": _PX} for number in range(len(scenes))
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content), encoding="utf-8")


def _area_and_box(mask: NDArray[np.bool_]) -> dict[str, Any]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    return {"area": int(mask.sum()), "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]}


def _run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's: column by column, from 0 on."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()}


def _save(scene: Scene, path: Path) -> None:
    _save_array(scene.pixels, path)


def _save_array(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
