"""Reads COCO's panoptic annotations: JSON with the class of each segment, and a PNG of their ids for each image."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from fastitpn.console import say
from fastitpn.data.detection.categories import read_categories, whole
from fastitpn.data.detection.files import locate
from fastitpn.data.detection.problems import Problem
from fastitpn.data.detection.values import flag, key
from fastitpn.data.images.decode import upright_size
from fastitpn.data.json_files import read_json
from fastitpn.data.looking import look_at_each
from fastitpn.data.segmentation.panoptic_labels import EXPECTED, PanopticImage, read_segments, size_of_segments
from fastitpn.errors import InputError


@dataclass(frozen=True, kw_only=True)
class PanopticScan:
    """What a file of panoptic annotations has.

    Attributes:
        images: Images with which nothing is wrong.
        names: Names of all categories.
        things: Names of the categories of which each thing is a segment.
        problems: What is wrong.
        left_out: Images for which something is wrong, as far as they are there.
        without_segments: Images that have none.
    """

    images: list[PanopticImage]
    names: tuple[str, ...]
    things: tuple[str, ...]
    problems: list[Problem]
    left_out: list[Path]
    without_segments: int


def scan_panoptic(file: Path, images: Path) -> PanopticScan:
    """Reads a file, its PNGs and its images, and checks every segment.

    Args:
        file: In COCO's panoptic format; the PNGs lie beside it, or in the folder of its name without `.json`.
        images: Folder of the images.

    Raises:
        InputError: The file cannot be read, or its categories are wrong.
    """
    content = _load(file)
    listed = [annotation for annotation in content["annotations"] if isinstance(annotation, dict)]
    used = {key(segment.get("category_id")) for annotation in listed for segment in _segments(annotation)}
    classes, label_of = read_categories(content["categories"], file, used)
    name_of = {category: classes.names[label] for category, label in sorted(label_of.items(), key=itemgetter(1))}
    counted = {key(category["id"]) for category in content["categories"] if _is_thing(category, file)}
    file_names = {
        key(image.get("id")): image.get("file_name") for image in content["images"] if isinstance(image, dict)
    }
    file_names.pop(None, None)  # no id is not the same id
    places, line = locate((name for name in file_names.values() if isinstance(name, str)), images)
    if line:
        say(f"{file.name}: {line}")
    folder = file.with_suffix("") if file.with_suffix("").is_dir() else file.parent

    def check(annotation: dict[str, Any]) -> PanopticImage | list[Problem]:
        number = key(annotation.get("image_id"))
        name, png = file_names.get(number), annotation.get("file_name")
        about: dict[str, Any] = {"file": file, "image_id": number, "leaves_out": "image"}
        if not isinstance(name, str) or not isinstance(png, str):
            return [Problem(kind="segments of a missing image", what="no image of this id, or no file_name", **about)]
        if unreadable := [segment for segment in _segments(annotation) if flag(segment.get("iscrowd")) is None]:
            what = (
                f"the iscrowd of segment {unreadable[0].get('id')} is {unreadable[0]['iscrowd']!r:.80}, neither 0 nor 1"
            )
            return [Problem(kind="iscrowd that is neither 0 nor 1", what=what, **about)]
        image = PanopticImage(path=places[name], png=folder / png, **_named(annotation, name_of))
        try:
            size, size_of_png = upright_size(image.path), size_of_segments(image.png)
            segments = read_segments(image.png) if size == size_of_png else None
        except InputError as error:
            return [Problem(kind="file that cannot be read", what=f"{error.where}: {error.what}", **about)]
        about["file"] = image.png
        if segments is None:
            what = f"{png} is {size_of_png[0]}x{size_of_png[1]} px, {name} {size[0]}x{size[1]} px"
            return [Problem(kind="segments of another size", what=what, **about)]
        listed_ids = {whole(segment.get("id")): segment for segment in _segments(annotation)}
        problems = []
        for unknown in sorted(set(np.unique(segments).tolist()) - {0, *image.names}):
            about["segment_id"] = unknown
            if unknown in listed_ids:
                what = f"its category {listed_ids[unknown].get('category_id')} is none of the categories"
                problems.append(Problem(kind="unknown category", what=what, **about))
            else:
                what = f"{int((segments == unknown).sum())} pixels of it, and segments_info has no such id"
                problems.append(Problem(kind="unknown segment", what=what, **about))
        return problems or image

    results = look_at_each(check, listed, "checking masks")
    named = (
        file_names.get(key(annotation.get("image_id")))
        for annotation, result in zip(listed, results, strict=True)
        if isinstance(result, list)
    )
    left_out = {places[name] for name in named if isinstance(name, str)}
    return PanopticScan(
        images=[result for result in results if isinstance(result, PanopticImage)],
        names=classes.names,
        things=tuple(name for category, name in name_of.items() if category in counted),
        problems=[problem for result in results if isinstance(result, list) for problem in result],
        left_out=sorted(filter(os.path.isfile, left_out)),
        without_segments=len(set(file_names) - {key(annotation.get("image_id")) for annotation in listed}),
    )


def _segments(annotation: dict[str, Any]) -> list[dict[str, Any]]:
    segments = annotation.get("segments_info")
    return [segment for segment in segments if isinstance(segment, dict)] if isinstance(segments, list) else []


def _named(annotation: dict[str, Any], name_of: Mapping[Any, str]) -> dict[str, Any]:
    """`names` and `crowds` of an image, without segments of no known category."""
    segments = [(whole(segment.get("id")), segment) for segment in _segments(annotation)]
    known = [(number, segment, key(segment.get("category_id"))) for number, segment in segments if number is not None]
    names = {number: name_of[category] for number, _, category in known if category in name_of}
    return {
        "names": names,
        "crowds": frozenset(number for number, segment, _ in known if flag(segment.get("iscrowd"))),
    }


def _is_thing(category: dict[str, Any], file: Path) -> bool:
    thing = flag(category.get("isthing"))
    if thing is None:
        what = f"the isthing of the category {category.get('name')!r:.80} is {category['isthing']!r:.80}"
        raise InputError(what, where=file, expected="0 or 1", fix="correct it")
    return thing


def _load(file: Path) -> dict[str, list[Any]]:
    content = read_json(file, expected=EXPECTED)
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in lists):
        raise InputError("this file lacks images, annotations or categories", where=file, expected=EXPECTED)
    return content
