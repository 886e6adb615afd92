"""The worst mistakes of a detector: what it was sure of and is not there, and the largest objects that it missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.ops import box_iou

from fastitpn.data.detection.annotations import Annotations
from fastitpn.data.images.decode import read_image
from fastitpn.data.segmentation.classes import Color, distinct_colors
from fastitpn.reporting.pictures import Item
from fastitpn.tasks.detect.heads.base import Detections
from fastitpn.tasks.detect.pictures import DrawnInstance, Rectangle, draw_instances

OVERLAP = 0.5
"""From which on an object counts as found."""
_MOST = 12
"""Mistakes of either kind at most."""
_AROUND = 0.6
"""What of the surroundings is shown with a box, as a share of its longer side."""
_CROP_PX = 320


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A detection of what is not there, or an object that was not detected.

    Attributes:
        path: File of the image.
        box: Left, top, right, bottom in its pixels.
        name: Name of the class.
        score: Score of the detection in [0, 1]; None for an object that was missed.
        other: The class of an object in its place, or of a detection in that of a missed object; None if there is none.
    """

    path: Path
    box: Rectangle
    name: str
    score: float | None = None
    other: str | None = None

    @property
    def caption(self) -> str:
        """What is wrong, in a few words."""
        if self.score is not None:
            return f"{self.name} ({self.score:.0%}), is {self.other or 'none'}"
        return f"missed: {self.name}" + (f", taken for {self.other}" if self.other else "")

    @property
    def size(self) -> float:
        """Area in square pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


def find_mistakes(
    path: Path, truth: Annotations, detections: Detections, names: Sequence[str], min_score: float
) -> list[Mistake]:
    """The mistakes of one image: detections, the best first, take the object of their class that they overlap most.

    Crowds are neither found nor missed, and what is found in them is not wrong.

    Args:
        path: File of the image.
        truth: Annotations of the image.
        detections: At the size of the image.
        names: Names of the classes, in the order of their labels.
        min_score: Least score of a detection that counts.
    """
    kept = detections["scores"] >= min_score
    boxes, scores, labels = (detections[key][kept].cpu() for key in ("boxes", "scores", "labels"))
    overlaps = box_iou(boxes.float(), truth.boxes.float())  # [detections, objects]
    free, mistakes = torch.ones(len(truth), dtype=torch.bool), []
    wrong: list[int] = []
    for place, label in enumerate(labels.tolist()):
        fits = overlaps[place] * (free | truth.crowd) * (truth.labels == label)
        if len(fits) and fits.max() >= OVERLAP:
            free[int(fits.argmax())] = False
        else:
            wrong.append(place)
    for place in wrong:
        other = _most_like(overlaps[place] * (truth.labels != labels[place]), truth.labels, names)
        score = float(scores[place])
        mistakes.append(
            Mistake(path=path, box=_box(boxes[place]), name=names[int(labels[place])], score=score, other=other)
        )
    for place in torch.nonzero(free & ~truth.crowd).flatten().tolist():
        other = _most_like(overlaps[:, place] * (labels != truth.labels[place]), labels, names)
        mistakes.append(
            Mistake(path=path, box=_box(truth.boxes[place]), name=names[int(truth.labels[place])], other=other)
        )
    return mistakes


def worst(mistakes: Sequence[Mistake], most: int = _MOST) -> list[Mistake]:
    """The surest detections of what is not there, and the largest objects that were missed."""
    sure = [mistake for mistake in mistakes if mistake.score is not None]
    missed = [mistake for mistake in mistakes if mistake.score is None]
    sure.sort(key=lambda mistake: -(mistake.score or 0))
    missed.sort(key=lambda mistake: -mistake.size)
    return sure[:most] + missed[:most]


def draw_mistakes(mistakes: Sequence[Mistake], names: Sequence[str]) -> list[Item]:
    """A picture of each mistake, in its surroundings."""
    colors = dict(zip(names, distinct_colors(names), strict=True))
    return [_draw(mistake, colors[mistake.name]) for mistake in mistakes]


def _draw(mistake: Mistake, color: Color) -> Item:
    image, (left, top, right, bottom) = read_image(mistake.path), mistake.box
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    half = max(right - left, bottom - top, 16) * (0.5 + _AROUND)
    area = (
        max(0, round(middle_x - half)),
        max(0, round(middle_y - half)),
        min(image.width, round(middle_x + half)),
        min(image.height, round(middle_y + half)),
    )
    box = (left - area[0], top - area[1], right - area[0], bottom - area[1])
    return Item(
        draw_instances(image.crop(area), [DrawnInstance(box, "", color)], px=_CROP_PX),
        f"{mistake.caption}, {mistake.path.name}",
        False,
    )


def _most_like(overlaps: torch.Tensor, labels: torch.Tensor, names: Sequence[str]) -> str | None:
    if not len(overlaps) or overlaps.max() < OVERLAP:
        return None
    return names[int(labels[int(overlaps.argmax())])]


def _box(box: torch.Tensor) -> Rectangle:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom
