"""Reads COCO's object: every image and annotation is checked, and what is wrong is named by its file and id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastitpn.data.detection.annotations import Annotation, DetectionClasses, DetectionImages
from fastitpn.data.detection.categories import read_categories, whole
from fastitpn.data.detection.files import Entry, check_files, declared_size, locate
from fastitpn.data.detection.formats.base import Part
from fastitpn.data.detection.masks import BoxError, is_finite, mask_area, pack_mask, read_box
from fastitpn.data.detection.problems import Problem, count_left_out
from fastitpn.errors import InputError


def scan(part: Part, *, with_masks: bool | None = None, classes: DetectionClasses | None = None) -> DetectionImages:
    """The images and annotations of a part; what is wrong is left out and only kept as `problems` of the result.

    Args:
        part: What a format found of one part of a data set.
        with_masks: Every annotation must have a mask; False looks at boxes alone; None takes masks if there are any.
        classes: Classes of the model or of the training data, for labels by their names; None takes the part's own.

    Raises:
        InputError: The annotations cannot be read, or have no masks at all where they are needed.
    """
    content = part.content()
    annotations = content["annotations"]
    if with_masks is not False:
        any_masks = any(isinstance(listed, dict) and listed.get("segmentation") for listed in annotations)
        if with_masks and annotations and not any_masks:
            raise InputError(
                "no annotation of this file has a mask, only boxes",
                where=part.path,
                expected="a segmentation in every annotation",
                fix="detector=faster_rcnn, which needs boxes alone",
            )
        with_masks = any_masks
    used = {whole(listed.get("category_id")) for listed in annotations if isinstance(listed, dict)}
    part_classes, label_of = read_categories(content["categories"], part.path, used, classes)
    reader = _Reader(part=part, label_of=label_of, with_masks=with_masks)
    entries = reader.entries(content["images"])
    if part.images is not None:
        _check_folder(entries, part.path, part.images)
    by_image = reader.annotations(annotations, {entry.id: entry for entry in entries})
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
        problems=[*part.problems, *reader.problems],
        unusable=reader.unusable,
        left_out=(before[0] + len(content["images"]) - len(kept), before[1] + len(annotations) - num_kept),
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


def listed_files(part: Part) -> list[Path]:
    """Where the images of a part are or should be, whether or not they can be used.

    Raises:
        InputError: Its annotations cannot be read.
    """
    names = [image.get("file_name") for image in part.content()["images"] if isinstance(image, dict)]
    return [locate(name, part.images or Path()) for name in names if isinstance(name, str) and name]


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads the lists of one part, and notes what is wrong."""

    part: Part
    label_of: Mapping[int, int]
    with_masks: bool
    problems: list[Problem] = field(default_factory=list)
    unusable: list[Path] = field(default_factory=list)
    nameless: set[int] = field(default_factory=set)

    def note(self, kind: str, what: str, *, image_id: int | None, **more: Any) -> None:
        file = self.part.path if image_id is None else self.part.label_files.get(image_id, self.part.path)
        self.problems.append(Problem(kind=kind, what=what, file=file, image_id=image_id, **more))

    def entries(self, listed: Sequence[Any]) -> list[Entry]:
        """The images, each of which was read; those that cannot be used are marked."""
        by_id: dict[int, Entry] = {}
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
            path = locate(name, self.part.images or Path())
            if number in by_id:
                first = by_id[number]
                what = f"its id is that of {first.path.name} and of {path.name}"
                self.note("duplicate image id", what, image_id=number, leaves_out="image")
                first.usable = first.usable and first.path == path  # whose annotations these are, nobody knows
                continue
            entry = Entry(id=number, path=path, declared=declared_size(image))
            by_id[number] = entry
            if path in places:
                what = f"{name} is image {places[path]} already"
                self.note("image listed twice", what, image_id=number, leaves_out="image")
                entry.usable = False
            places.setdefault(path, number)
        entries = list(by_id.values())
        wrong = check_files(entries)
        self.unusable.extend(problem.file for problem in wrong if problem.file.is_file())
        self.problems.extend(wrong)
        return entries

    def annotations(self, listed: Sequence[Any], entries: Mapping[int, Entry]) -> dict[int, list[Annotation]]:
        """The annotations that can be used, by the id of their image."""
        by_image: dict[int, list[Annotation]] = {}
        known: set[int] = set()
        for place, annotation in enumerate(listed):
            number = whole(annotation.get("id")) if isinstance(annotation, dict) else None
            image = whole(annotation.get("image_id")) if isinstance(annotation, dict) else None
            entry = None if image is None else entries.get(image)
            ids = {"annotation_id": number, "image_id": image}
            if number is None:
                self.note("annotation without id", f"number {place} of the annotations has no id", **ids)
            elif number in known:
                self.note("duplicate annotation id", "another annotation has this id", **ids)
            elif entry is None:
                if image not in self.nameless:
                    what = f"there is no image {annotation.get('image_id')!r}"
                    self.note("annotation of a missing image", what, **ids)
            else:
                read = self._annotation(annotation, number, entry)
                if read is not None and entry.usable:
                    by_image.setdefault(entry.id, []).append(read)
            if number is not None:
                known.add(number)
        return by_image

    def _annotation(self, annotation: Mapping[str, Any], number: int, entry: Entry) -> Annotation | None:
        ids = {"annotation_id": number, "image_id": entry.id}
        category = whole(annotation.get("category_id"))
        label = None if category is None else self.label_of.get(category)
        if label is None:
            what = f"there is no category {annotation.get('category_id')!r} among the classes"
            self.note("unknown category", what, **ids)
            return None
        if entry.size is None:
            return None
        height, width = entry.size
        try:
            box, cut = read_box(annotation.get("bbox"), height, width)
        except BoxError as error:
            self.note(error.kind, str(error), **ids)
            return None
        counts = None
        if self.with_masks:
            if not annotation.get("segmentation"):
                self.note(
                    "annotation without mask", "it has no mask (boxes alone are enough for detector=faster_rcnn)", **ids
                )
                return None
            try:
                counts = pack_mask(annotation["segmentation"], height, width)
            except ValueError as error:
                self.note("mask that cannot be used", str(error), **ids)
                return None
        if cut:
            self.note("box partly outside of its image", cut, **ids, leaves_out="nothing")
        area = annotation.get("area")
        if not is_finite(area) or area <= 0:
            area = (box[2] - box[0]) * (box[3] - box[1]) if counts is None else mask_area(counts, height, width)
        crowd = bool(annotation.get("iscrowd", 0))
        return Annotation(id=number, label=label, box=box, area=float(area), crowd=crowd, mask=counts)
