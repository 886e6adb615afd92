"""F1 of a detector by the least score that counts, the score that suits it best, and what is taken for what there.

An object is found by a detection of its class whose box overlaps it by at least 0.5; detections, the surest first, take
the free object that they overlap most, as COCO's tools have it. Detections inside of crowds are not counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask
from numpy.typing import NDArray

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.tasks.detect.mistakes import OVERLAP

Floats = NDArray[np.float64]

GRID = np.round(np.linspace(0, 1, 1001), 3)
"""Scores that are tried."""
BACKGROUND = "(background)"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """How many objects are found, and how many detections are right, at each least score.

    Attributes:
        classes: Names of the classes.
        objects: [classes], objects of each, without crowds.
        detections: [classes, scores of `GRID`], detections of at least that score.
        hits: [classes, scores of `GRID`], those that found an object.
    """

    classes: Sequence[str]
    objects: NDArray[np.int64]
    detections: NDArray[np.int64]
    hits: NDArray[np.int64]

    @property
    def precision(self) -> Floats:
        """[classes, scores]; 0 where nothing is detected."""
        return self.hits / np.maximum(self.detections, 1)

    @property
    def recall(self) -> Floats:
        """[classes, scores]; nan for a class without objects."""
        return self.hits / np.where(self.objects, self.objects, np.nan)[:, None]

    @property
    def f1(self) -> Floats:
        """[classes, scores]; nan for a class without objects."""
        f1: Floats = 2 * self.hits / (self.detections + np.where(self.objects, self.objects, np.nan)[:, None])
        return f1

    @property
    def mean_f1(self) -> Floats:
        """[scores], the mean over the classes that have objects; 0 if none has any."""
        there = self.objects > 0
        return self.f1[there].mean(0) if there.any() else np.zeros(len(GRID))

    @property
    def best(self) -> float:
        """The score from which on detections count where the mean F1 is highest."""
        return best_of(self.mean_f1)


def best_of(f1: Floats) -> float:
    """The score of the highest F1; where several give the same, the middle of them."""
    first = int(f1.argmax())
    after = np.flatnonzero(f1[first:] != f1[first])
    last = first + int(after[0]) - 1 if after.size else len(f1) - 1
    return float(GRID[(first + last) // 2])


def by_threshold(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Thresholds:
    """Count at all scores.

    Args:
        truth: Annotations in COCO's format (`CocoScores.truth`).
        results: Detections in COCO's format.
        names: Names of the classes, in the order of the categories.
    """
    places = {category["id"]: place for place, category in enumerate(truth["categories"])}
    objects = np.zeros(len(names), dtype=np.int64)
    scores: list[list[float]] = [[] for _ in names]
    right: list[list[bool]] = [[] for _ in names]
    for annotations, detections in _by_image(truth, results):
        for annotation in annotations:
            objects[places[annotation["category_id"]]] += not annotation["iscrowd"]
        for category in {detection["category_id"] for detection in detections}:
            place = places[category]
            alike = [detection for detection in detections if detection["category_id"] == category]
            there = [annotation for annotation in annotations if annotation["category_id"] == category]
            for detection, hit in zip(alike, _hits(alike, there), strict=True):
                if hit is not None:
                    scores[place].append(detection["score"])
                    right[place].append(hit)
    counts = np.stack([_from_each(np.array(of_class)) for of_class in scores])
    hits = np.stack([_from_each(np.array(s)[np.array(h, dtype=bool)]) for s, h in zip(scores, right, strict=True)])
    return Thresholds(classes=names, objects=objects, detections=counts, hits=hits)


def confusion(
    truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], classes: DetectionClasses, least: float
) -> NDArray[np.int64]:
    """What is taken for what, whatever its class: pairs of an object and a detection, the largest overlaps first.

    Args:
        truth: Annotations in COCO's format.
        results: Detections in COCO's format.
        classes: Ids of the classes.
        least: Least score of a detection that counts.

    Returns:
        [classes + 1, classes + 1] counts; row is the true class, column the predicted one. The last row are detections
        of what is not there, the last column objects that were missed.
    """
    places = {number: place for place, number in enumerate(classes.ids)}
    background = len(classes.ids)
    matrix = np.zeros((background + 1, background + 1), dtype=np.int64)
    for annotations, every in _by_image(truth, results):
        detections = [detection for detection in every if detection["score"] >= least]
        overlaps = _overlaps(detections, annotations)
        crowd = np.array([bool(annotation["iscrowd"]) for annotation in annotations], dtype=bool)
        in_crowd = (overlaps[:, crowd] >= OVERLAP).any(1)
        overlaps[:, crowd] = 0.0
        predicted = [places[detection["category_id"]] for detection in detections]
        true = [places[annotation["category_id"]] for annotation in annotations]
        open_detections, open_objects = np.ones(len(predicted), dtype=bool), ~crowd
        rows, columns = np.nonzero(overlaps >= OVERLAP)
        for pair in np.argsort(-overlaps[rows, columns], kind="stable"):
            row, column = rows[pair], columns[pair]
            if open_detections[row] and open_objects[column]:
                open_detections[row] = open_objects[column] = False
                matrix[true[column], predicted[row]] += 1
        for row in np.flatnonzero(open_detections & ~in_crowd):
            matrix[background, predicted[row]] += 1
        for column in np.flatnonzero(open_objects):
            matrix[true[column], background] += 1
    return matrix


def _by_image(truth: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> Iterable[tuple[list[Any], list[Any]]]:
    """Annotations and detections of each image, the surest detection first."""
    annotations: dict[int, list[Any]] = defaultdict(list)
    detections: dict[int, list[Any]] = defaultdict(list)
    for annotation in truth["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    for result in results:
        detections[result["image_id"]].append(result)
    for image in truth["images"]:
        number = image["id"]
        yield annotations[number], sorted(detections[number], key=lambda result: -result["score"])


def _hits(detections: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]) -> list[bool | None]:
    """Of detections of a class, the surest first: whether each found an object; None for those inside of crowds."""
    if not annotations:
        return [False] * len(detections)
    overlaps = _overlaps(detections, annotations)
    crowd = np.array([bool(annotation["iscrowd"]) for annotation in annotations], dtype=bool)
    open_objects = ~crowd
    hits: list[bool | None] = []
    for row in overlaps:
        free = np.where(open_objects, row, -1.0)
        place = int(free.argmax())
        if free[place] >= OVERLAP:
            open_objects[place] = False
            hits.append(True)
        else:
            hits.append(None if (row[crowd] >= OVERLAP).any() else False)
    return hits


def _overlaps(detections: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]) -> Floats:
    """[detections, annotations] IoU of boxes; with a crowd the share of the detection that is inside of it."""
    if not detections or not annotations:
        return np.zeros((len(detections), len(annotations)))
    boxes = [np.array([entry["bbox"] for entry in part], dtype=np.float64) for part in (detections, annotations)]
    overlaps: Floats = coco_mask.iou(*boxes, [int(annotation["iscrowd"]) for annotation in annotations])
    return overlaps


def _from_each(scores: Floats) -> NDArray[np.int64]:
    """[scores of GRID], how many are at least that."""
    return len(scores) - np.searchsorted(np.sort(scores), GRID, side="left")
