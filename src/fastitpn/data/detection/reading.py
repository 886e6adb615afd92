"""Reads COCO's object: every image and annotation is checked, and what is wrong is named by its file and id."""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fastitpn.data.detection.annotations import DetectionClasses, DetectionImages
from fastitpn.data.detection.categories import read_categories
from fastitpn.data.detection.files import Entry, check_files, declared_size, locate
from fastitpn.data.detection.formats.base import Part
from fastitpn.data.detection.objects import Notes, ObjectReader
from fastitpn.data.detection.problems import count_left_out
from fastitpn.data.detection.values import Key, key, numbered, without_id
from fastitpn.errors import InputError

FOR_BOXES = "finetune detect detector=faster_rcnn or dino, which need only boxes"
"""What to type for data without masks."""
_NUMBERED = "id of an image that is a text: results have a number in its place"


def scan(part: Part, *, with_masks: bool | None = None, classes: DetectionClasses | None = None) -> DetectionImages:
    """The images and annotations of a part; what is wrong is left out and only kept as `problems` of the result.

    Args:
        part: What a format found of one part of a data set.
        with_masks: Every annotation must have a mask; False looks at boxes alone; None takes masks if there are any.
            An annotation without a mask where there are others becomes a crowd, whose mask is its box.
        classes: Classes of the model or of the training data, for labels by their names; None takes the part's own.

    Raises:
        InputError: The annotations cannot be read, or have no masks at all where they are needed.
    """
    content = part.content()
    annotations = content["annotations"]
    needs_masks = with_masks is True
    if with_masks is not False:
        any_masks = any(isinstance(listed, dict) and listed.get("segmentation") for listed in annotations)
        if with_masks and len(annotations) and not any_masks:
            raise InputError(
                f"no annotation of this file has a mask, only boxes ({len(annotations)} of them)",
                where=part.path,
                expected="a segmentation in every annotation",
                fix=FOR_BOXES,
            )
        with_masks = any_masks
    part_classes, label_of = read_categories(content["categories"], part.path, _Used(annotations), classes)
    notes = Notes(part=part)
    images = _read_images(content["images"], part, notes)
    entries = images.entries.values()
    if part.images is not None:
        _check_folder(entries, part.path, part.images)
    reader = ObjectReader(
        notes=notes, images=images.entries, label_of=label_of, with_masks=with_masks, needs_masks=needs_masks
    )
    by_image = reader.read(annotations, images.nameless)
    kept = [entry for entry in entries if entry.usable]
    num_kept = sum(len(by_image.get(entry.id, ())) for entry in kept)
    before = count_left_out(part.problems)
    return DetectionImages(
        part.path,
        part_classes,
        [entry.path for entry in kept],
        [entry.id for entry in kept],
        [entry.size for entry in kept if entry.size],
        [by_image.get(entry.id, []) for entry in kept],
        with_masks=with_masks,
        problems=[*part.problems, *notes.problems],
        unusable=notes.unusable,
        left_out=(before[0] + len(content["images"]) - len(kept), before[1] + len(annotations) - num_kept),
        notes=[*part.notes, *notes.lines],
        without_masks=notes.without_masks,
    )


def listed_files(part: Part) -> list[Path]:
    """Where the images of a part are or should be, whether or not they can be used.

    Raises:
        InputError: Its annotations cannot be read.
    """
    names = [image.get("file_name") for image in part.content()["images"] if isinstance(image, dict)]
    return list(_locate([name for name in names if isinstance(name, str) and name], part)[0].values())


def _check_folder(entries: Collection[Entry], file: Path, images: Path) -> None:
    """Raises if not one image is there: then they are in another folder, and nothing is wrong with each of them."""
    if entries and not any(os.path.exists(entry.path) for entry in entries):
        raise InputError(
            f"none of the {len(entries)} images of this file is there, the first would be {next(iter(entries)).path}",
            where=file,
            expected=f"its images in {images}",
            fix="images=FOLDER, the one that the file names in it begin at; or put the images back",
        )


def _locate(names: Iterable[str], part: Part) -> tuple[dict[str, Path], str | None]:
    """The files of images by their names in a part, and what to say of those that have other names."""
    if part.images is None:
        return {name: Path(name) for name in names}, None
    return locate(names, part.images)


class _Used:
    """Ids of categories that annotations have, which are looked for only when they are asked for."""

    def __init__(self, annotations: Iterable[Any]) -> None:
        self._annotations = annotations

    @cached_property
    def _keys(self) -> set[Key | None]:
        return {key(listed.get("category_id")) for listed in self._annotations if isinstance(listed, dict)}

    def __contains__(self, item: object) -> bool:
        return item in self._keys


@dataclass(frozen=True, kw_only=True)
class _Images:
    """The images of a part: entries by id, and the ids of those without a file name."""

    entries: dict[Key, Entry]
    nameless: set[Key]


def _read_images(listed: Sequence[Any], part: Part, notes: Notes) -> _Images:
    """The images by id, each of which was read; those that cannot be used are marked."""
    images = [image if isinstance(image, dict) else {} for image in listed]
    keys = [key(image.get("id")) for image in images]
    names = [name if isinstance(name := image.get("file_name"), str) else "" for image in images]
    number_of = numbered(item for item in keys if item is not None)
    notes.count(_NUMBERED, sum(isinstance(item, str) for item in number_of))
    located, line = _locate(filter(None, names), part)
    notes.lines.extend([line] if line else [])
    result = _Images(entries={}, nameless=set())
    places: dict[Path, Key] = {}
    for place, (image, image_key, name) in enumerate(zip(images, keys, names, strict=True)):
        if image_key is None or not name:
            what = without_id(place, "images", image.get("id"))
            if image_key is not None:
                result.nameless.add(image_key)
                what = f"number {place} of the images has no file_name"
            notes.add("image without id or file name", what, image_id=image_key, leaves_out="image")
            continue
        path = located[name]
        if image_key in result.entries:
            first = result.entries[image_key]
            what = f"its id is that of {first.path.name} and of {path.name}"
            notes.add("duplicate image id", what, image_id=image_key, leaves_out="image")
            first.usable = first.usable and first.path == path  # whose annotations these are, nobody knows
            continue
        entry = Entry(id=number_of[image_key], key=image_key, path=path, declared=declared_size(image))
        result.entries[image_key] = entry
        if path in places:
            what = f"{name} is image {places[path]} already"
            notes.add("image listed twice", what, image_id=image_key, leaves_out="image")
            entry.usable = False
        places.setdefault(path, image_key)
    wrong = check_files(list(result.entries.values()))
    notes.unusable.extend(problem.file for problem in wrong if os.path.isfile(problem.file))
    notes.problems.extend(wrong)
    return result
