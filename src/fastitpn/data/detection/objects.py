"""Reads the annotations of COCO's object one by one, and notes what is wrong with each and what was made of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastitpn.data.detection.annotations import Annotation
from fastitpn.data.detection.files import Entry
from fastitpn.data.detection.formats.base import Part
from fastitpn.data.detection.masks import (
    Box,
    BoxError,
    box_around,
    is_missing,
    is_turned_box,
    mask_area,
    num_points_and_lines,
    read_box,
    store_mask,
)
from fastitpn.data.detection.problems import Problem
from fastitpn.data.detection.values import Key, flag, key, number, numbered, numbers, without_id

_NO_MASK = "it has no mask (boxes are enough for detector=faster_rcnn or dino)"
_FROM_OUTLINE = "boxes were missing, and are computed from the outlines"
_TOO_FEW_CORNERS = "parts of masks have fewer than three corners; they are left out, the rest of the masks is kept"
_TURNED = "oriented boxes (four corners, turned): boxes are the upright ones around them"
_TURNED_MASKS = f"{_TURNED}, masks the turned ones"
_TURNED_ALONE = f"{_TURNED}; detector=mask_rcnn or maskdino learns the turned ones, as masks"
_ANGLE = (
    "boxes with an angle or rotation beside them, which is not used: of oriented boxes give corners as segmentation"
)
_ANGLES = ("rotation", "angle", "theta")
_EMPTIED = "images are left out, since none of their annotations can be used"


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What is wrong in a part of a data set, and what deserves a line although it is not."""

    part: Part
    problems: list[Problem] = field(default_factory=list)
    unusable: list[Path] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    without_masks: list[Problem] = field(default_factory=list)

    def add(self, kind: str, what: str, *, image_id: Key | None, **more: Any) -> None:
        """Keeps something that is wrong."""
        self.problems.append(self.problem(kind, what, image_id=image_id, **more))

    def problem(self, kind: str, what: str, *, image_id: Key | None, **more: Any) -> Problem:
        """What is wrong, in the file of labels of its image."""
        file = self.part.label_files.get(image_id, self.part.path) if isinstance(image_id, int) else self.part.path
        return Problem(kind=kind, what=what, file=file, image_id=image_id, **more)

    def count(self, what: str, times: int) -> None:
        """Keeps a line with a count, if there is anything to count."""
        if times:
            self.lines.append(f"{times} x {what}")


@dataclass(kw_only=True)
class ObjectReader:
    """Reads annotations.

    Args:
        notes: Get what is wrong.
        images: The images by id; those that lose all of their annotations are marked as not usable.
        label_of: Labels of the categories by id.
        with_masks: Masks are read too.
        needs_masks: An annotation without a mask is a problem; else it is only kept in `notes.without_masks`.
    """

    notes: Notes
    images: Mapping[Key, Entry]
    label_of: Mapping[Key, int]
    with_masks: bool
    needs_masks: bool
    num_from_outline: int = 0
    num_too_few_corners: int = 0
    num_ignored: int = 0
    num_turned: int = 0
    num_angles: int = 0

    def read(self, listed: Iterable[Any], nameless: set[Key]) -> dict[int, list[Annotation]]:
        """The annotations that can be used, by the number of their image.

        Args:
            listed: As the file has them.
            nameless: Ids of images that have no file name, which were noted.
        """
        by_image: dict[int, list[Annotation]] = {}
        known: set[Key] = set()
        targets: dict[Key, int] = {}
        for place, annotation in enumerate(listed):
            annotation = annotation if isinstance(annotation, dict) else {}
            annotation_key, image_key = key(annotation.get("id")), key(annotation.get("image_id"))
            entry = None if image_key is None else self.images.get(image_key)
            about = {"annotation_id": annotation_key, "image_id": image_key}
            if entry is not None:
                targets.setdefault(entry.key, 0)
            if annotation_key is None:
                self.notes.add("annotation without id", without_id(place, "annotations", annotation.get("id")), **about)
            elif annotation_key in known:
                self.notes.add("duplicate annotation id", "another annotation has this id", **about)
            elif entry is None:
                if image_key not in nameless:
                    what = f"there is no image {annotation.get('image_id')!r:.80}"
                    self.notes.add("annotation of a missing image", what, **about)
            else:
                before = self.num_ignored
                read = self._annotation(annotation, annotation_key, entry)
                if read is not None and entry.usable:
                    by_image.setdefault(entry.id, []).append(read)
                    targets[entry.key] += not (self.needs_masks and self.num_ignored > before)
            if annotation_key is not None:
                known.add(annotation_key)
        emptied = [self.images[image_key] for image_key, count in targets.items() if not count]
        self._leave_out([entry for entry in emptied if entry.usable])
        self.notes.count(_FROM_OUTLINE, self.num_from_outline)
        self.notes.count(_TOO_FEW_CORNERS, self.num_too_few_corners)
        self.notes.count(_ANGLE, self.num_angles)
        if 2 * self.num_turned >= len(known):  # a few outlines may happen to have four corners
            self.notes.count(_TURNED_MASKS if self.with_masks else _TURNED_ALONE, self.num_turned)
        if any(isinstance(annotation_key, str) for annotation_key in known):
            number_of = numbered(known)
            return {
                number: [annotation._replace(id=number_of[annotation.id]) for annotation in annotations]
                for number, annotations in by_image.items()
            }
        return by_image

    def _leave_out(self, emptied: list[Entry]) -> None:
        for entry in emptied:
            entry.usable = False
        self.notes.unusable.extend(entry.path for entry in emptied)
        self.notes.count(_EMPTIED, len(emptied))

    def _annotation(self, annotation: Mapping[str, Any], annotation_key: Key, entry: Entry) -> Annotation | None:
        ids = {"annotation_id": annotation_key, "image_id": entry.key}
        category = key(annotation.get("category_id"))
        label = None if category is None else self.label_of.get(category)
        if label is None:
            what = f"there is no category {annotation.get('category_id')!r:.80} among the classes"
            if "category_id" not in annotation:
                what = "it has no category_id"
            self.notes.add("unknown category", what, **ids)
            return None
        crowd = flag(annotation.get("iscrowd"))
        if crowd is None:
            what = f"its iscrowd is {annotation['iscrowd']!r:.80}, neither 0 nor 1"
            self.notes.add("iscrowd that is neither 0 nor 1", what, **ids)
            return None
        if entry.size is None:
            return None
        height, width = entry.size
        segmentation, listed = annotation.get("segmentation"), annotation.get("bbox")
        if not segmentation and (corners := numbers(listed)) is not None and len(corners) == 8:
            segmentation, listed = [corners], None
        try:
            box, cut = self._box(listed, segmentation, height, width)
        except BoxError as error:
            self.notes.add(error.kind, str(error), **ids)
            return None
        self.num_turned += is_turned_box(segmentation)
        self.num_angles += not segmentation and _has_angle(annotation)
        stored = None
        if self.with_masks:
            if not segmentation:
                self.num_ignored += 1
                problem = self.notes.problem("annotation without mask", _NO_MASK, **ids, leaves_out="target")
                (self.notes.problems if self.needs_masks else self.notes.without_masks).append(problem)
                left, top, right, bottom = box
                segmentation, crowd = [[left, top, right, top, right, bottom, left, bottom]], True
            try:
                stored = store_mask(segmentation, height, width)
            except ValueError as error:
                self.notes.add("mask that cannot be used", str(error), **ids)
                return None
            self.num_too_few_corners += num_points_and_lines(segmentation)
        if cut:
            self.notes.add("box partly outside of its image", cut, **ids, leaves_out="nothing")
        area = number(annotation.get("area"))
        if area is None or area <= 0:
            area = (box[2] - box[0]) * (box[3] - box[1]) if stored is None else mask_area(stored, height, width)
        return Annotation(annotation_key, label, box, float(area), crowd, stored)  # type: ignore[arg-type]

    def _box(self, box: Any, segmentation: Any, height: int, width: int) -> tuple[Box, str | None]:
        if segmentation and is_missing(box):
            try:
                box = box_around(segmentation, height, width)
            except ValueError as error:
                raise BoxError("mask that cannot be used", f"it has no bbox, and {error}") from error
            self.num_from_outline += 1
        return read_box(box, height, width)


def _has_angle(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation, or its attributes as CVAT writes them, has an angle other than 0."""
    attributes = annotation.get("attributes")
    places = (annotation, attributes if isinstance(attributes, dict) else {})
    return any(number(place.get(name)) for place in places for name in _ANGLES)
