"""Reads COCO's JSON: every image and annotation is checked, and what is wrong is named by its file and id."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastitpn.data.detection.annotations import Annotation, DetectionClasses, DetectionImages
from fastitpn.data.detection.categories import read_categories, whole
from fastitpn.data.detection.files import Entry, check_files, declared_size, locate
from fastitpn.data.detection.masks import BoxError, is_finite, mask_area, pack_mask, read_box
from fastitpn.data.detection.problems import OnError, Problem, stop_or_say
from fastitpn.errors import InputError

_EXPECTED = "COCO's format: an object with the lists images, annotations and categories"


def read_coco(
    file: Path,
    images: Path,
    *,
    on_error: OnError = "stop",
    with_masks: bool | None = None,
    classes: DetectionClasses | None = None,
) -> DetectionImages:
    """Images and annotations of a file.

    Args:
        file: In COCO's format.
        images: Folder that the file names in it begin at.
        on_error: Stop with one error that lists what is wrong, or leave it out and print how much and what.
        with_masks: Every annotation must have a mask; False looks at boxes alone; None takes masks if there are any.
        classes: Of the model or of the training data: labels are theirs, by name. None takes those of the file.

    Raises:
        InputError: The file cannot be read, has no masks at all where they are needed, or things in it are wrong.
    """
    found = scan_coco(file, images, with_masks=with_masks, classes=classes)
    stop_or_say(found.problems, on_error, left_out=found.left_out)
    return found


def scan_coco(
    file: Path, images: Path, *, with_masks: bool | None = None, classes: DetectionClasses | None = None
) -> DetectionImages:
    """As `read_coco`, but what is wrong is left out and only kept as `problems` of the result.

    Raises:
        InputError: The file cannot be read, or has no masks at all where they are needed.
    """
    content = _load(file)
    things = content["annotations"]
    if with_masks is not False:
        any_masks = any(isinstance(thing, dict) and thing.get("segmentation") for thing in things)
        if with_masks and things and not any_masks:
            raise InputError(
                "no annotation of this file has a mask, only boxes",
                where=file,
                expected="a segmentation in every annotation",
                fix="detector=faster_rcnn, which needs boxes alone",
            )
        with_masks = any_masks
    used = {whole(thing.get("category_id")) for thing in things if isinstance(thing, dict)}
    own, label_of = read_categories(content["categories"], file, used, classes)
    reader = _Reader(file=file, label_of=label_of, with_masks=with_masks)
    entries = reader.entries(content["images"], images)
    _check_folder(entries, file, images)
    by_image = reader.annotations(things, {entry.id: entry for entry in entries})
    kept = [entry for entry in entries if entry.usable]
    num_things = sum(len(by_image.get(entry.id, ())) for entry in kept)
    return DetectionImages(
        file,
        own,
        [entry.path for entry in kept],
        [entry.id for entry in kept],
        [entry.size for entry in kept if entry.size],
        [by_image.get(entry.id, []) for entry in kept],
        with_masks=with_masks,
        problems=reader.problems,
        left_out=(len(content["images"]) - len(kept), len(things) - num_things),
    )


def _check_folder(entries: Sequence[Entry], file: Path, images: Path) -> None:
    """Raises if not one image is there: then they are in another folder, and nothing is wrong with each of them."""
    if entries and not any(entry.path.exists() for entry in entries):
        raise InputError(
            f"none of the {len(entries)} images of this file is there, the first would be {entries[0].path}",
            where=file,
            expected=f"its images in {images}",
            fix="images=FOLDER, the one that the file names in it begin at; or put the images back",
        )


def listed_files(file: Path, images: Path) -> list[Path]:
    """Where the images of a file are or should be, whether or not they can be used.

    Raises:
        InputError: The file cannot be read.
    """
    names = [image.get("file_name") for image in _load(file)["images"] if isinstance(image, dict)]
    return [locate(name, images) for name in names if isinstance(name, str) and name]


def _load(file: Path) -> dict[str, list[Any]]:
    fix = "write or copy the file again"
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        if not error.doc.strip():
            raise InputError("this file is empty", where=file, expected=_EXPECTED, fix=fix) from error
        rest = error.doc[error.pos :].strip()
        cut = not rest or (error.msg.startswith("Unterminated") and "\n" not in rest)
        what = "this JSON file ends in the middle: it was cut off" if cut else f"this is not JSON: {error.msg}"
        where = f"{file}, line {error.lineno}, column {error.colno}"
        raise InputError(what, where=where, expected=_EXPECTED, fix=fix) from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not a text file"
        raise InputError(f"cannot read this file: {reason}", where=file, expected=_EXPECTED, fix="check it") from error
    missing = [
        name
        for name in ("images", "annotations", "categories")
        if not isinstance(content, dict) or not isinstance(content.get(name), list)
    ]
    if missing:
        what = f"this file has no list {', no list '.join(missing)}"
        raise InputError(what, where=file, expected=_EXPECTED, fix="data=FILE.json, or a folder that has one")
    return content


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads the lists of one file, and notes what is wrong."""

    file: Path
    label_of: Mapping[int, int]
    with_masks: bool
    problems: list[Problem] = field(default_factory=list)
    nameless: set[int] = field(default_factory=set)

    def note(self, kind: str, what: str, **more: Any) -> None:
        self.problems.append(Problem(kind=kind, what=what, **{"file": self.file, **more}))

    def entries(self, listed: Sequence[Any], images: Path) -> list[Entry]:
        """The images, each of which was read; those that cannot be used are marked."""
        found: dict[int, Entry] = {}
        places: dict[Path, int] = {}
        for place, image in enumerate(listed):
            number = whole(image.get("id")) if isinstance(image, dict) else None
            name = image.get("file_name") if isinstance(image, dict) else None
            if number is None or not isinstance(name, str) or not name:
                if number is not None:
                    self.nameless.add(number)
                what = f"number {place} of the images has no {'id' if number is None else 'file_name'}"
                self.note("image without id or file name", what, image_id=number, leaves_out="image")
                continue
            path = locate(name, images)
            if number in found:
                first = found[number]
                what = f"its id is that of {first.path.name} and of {path.name}"
                self.note("duplicate image id", what, image_id=number, leaves_out="image")
                first.usable = first.usable and first.path == path  # whose annotations these are, nobody knows
                continue
            entry = Entry(id=number, path=path, declared=declared_size(image))
            found[number] = entry
            if path in places:
                what = f"{name} is image {places[path]} already"
                self.note("image listed twice", what, image_id=number, leaves_out="image")
                entry.usable = False
            places.setdefault(path, number)
        entries = list(found.values())
        self.problems.extend(check_files(entries))
        return entries

    def annotations(self, listed: Sequence[Any], entries: Mapping[int, Entry]) -> dict[int, list[Annotation]]:
        """Those that can be used, by image."""
        found: dict[int, list[Annotation]] = {}
        known: set[int] = set()
        for place, thing in enumerate(listed):
            number = whole(thing.get("id")) if isinstance(thing, dict) else None
            image = whole(thing.get("image_id")) if isinstance(thing, dict) else None
            entry = None if image is None else entries.get(image)
            ids = {"annotation_id": number, "image_id": image}
            if number is None:
                self.note("annotation without id", f"number {place} of the annotations has no id", **ids)
            elif number in known:
                self.note("duplicate annotation id", "another annotation has this id", **ids)
            elif entry is None:
                if image not in self.nameless:
                    what = f"there is no image {thing.get('image_id')!r}"
                    self.note("annotation of a missing image", what, **ids)
            else:
                read = self._annotation(thing, number, entry)
                if read is not None and entry.usable:
                    found.setdefault(entry.id, []).append(read)
            if number is not None:
                known.add(number)
        return found

    def _annotation(self, thing: Mapping[str, Any], number: int, entry: Entry) -> Annotation | None:
        ids = {"annotation_id": number, "image_id": entry.id}
        category = whole(thing.get("category_id"))
        label = None if category is None else self.label_of.get(category)
        if label is None:
            what = f"there is no category {thing.get('category_id')!r} among the classes"
            self.note("unknown category", what, **ids)
            return None
        if entry.size is None:
            return None
        height, width = entry.size
        try:
            box, cut = read_box(thing.get("bbox"), height, width)
        except BoxError as error:
            self.note(error.kind, str(error), **ids)
            return None
        counts = None
        if self.with_masks:
            if not thing.get("segmentation"):
                self.note(
                    "annotation without mask", "it has no mask (boxes alone are enough for detector=faster_rcnn)", **ids
                )
                return None
            try:
                counts = pack_mask(thing["segmentation"], height, width)
            except ValueError as error:
                self.note("mask that cannot be used", str(error), **ids)
                return None
        if cut:
            self.note("box partly outside of its image", cut, **ids, leaves_out="nothing")
        area = thing.get("area")
        if not is_finite(area) or area <= 0:
            area = (box[2] - box[0]) * (box[3] - box[1]) if counts is None else mask_area(counts, height, width)
        crowd = bool(thing.get("iscrowd", 0))
        return Annotation(id=number, label=label, box=box, area=float(area), crowd=crowd, mask=counts)
