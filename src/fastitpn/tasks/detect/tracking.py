"""Objects followed through the frames of a video: ByteTrack (Zhang et al., 2022) in a small form.

A Kalman filter of constant velocity predicts where each box will be. Sure detections are matched to these boxes first,
then unsure ones to the tracks that are left: an object that is half hidden has a low score, and is where it should be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from fastitpn.tasks.detect.results import DetectedInstance, ImageDetections

LEAST_SCORE = 0.1
"""Least score of a detection that may go on with a track."""
_SURE_OVERLAP, _UNSURE_OVERLAP = 0.2, 0.5
"""Least IoU of a box with that of its track, for sure detections times their score, as published."""
_LOST_FRAMES = 30
"""So long a track may be unseen; a track that was seen once alone ends at once."""
_POSITION_NOISE, _VELOCITY_NOISE = 1 / 20, 1 / 160
"""Standard deviations as shares of the size of the box, as published."""
_MOVE = np.array([[1.0, 1.0], [0.0, 1.0]])

Array = NDArray[np.float64]


@dataclass
class _Track:
    """An object that is followed: for middle, width and height of its box a position and a velocity each."""

    number: int
    label: int
    state: Array
    """[4, 2]"""
    covariance: Array
    """[4, 2, 2]"""
    frames: int = 1
    """In how many frames it was seen."""
    unseen: int = 0
    """Frames since it was seen last."""

    @classmethod
    def start(cls, number: int, instance: DetectedInstance) -> "_Track":
        """The track of an object that was not seen before."""
        middle = _middle(instance.box)
        noise = _noise(middle) * np.array([2.0, 10.0])
        covariance = noise[..., None] ** 2 * np.eye(2)
        return cls(number, instance.label, np.stack((middle, np.zeros(4)), -1), covariance)

    @property
    def box(self) -> Array:
        """Left, top, right, bottom."""
        (x, y), (width, height) = self.state[:2, 0], self.state[2:, 0].clip(min=1e-3)
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])

    def predict(self) -> None:
        """One frame further."""
        noise = _noise(self.state[:, 0])[..., None] ** 2 * np.eye(2)
        self.state = self.state @ _MOVE.T
        self.covariance = _MOVE @ self.covariance @ _MOVE.T + noise
        self.unseen += 1

    def update(self, instance: DetectedInstance) -> None:
        """It was seen at the box of a detection."""
        measured = _middle(instance.box)
        spread = self.covariance[:, 0, 0] + _noise(measured)[:, 0] ** 2
        gain = self.covariance[:, :, 0] / spread[:, None]  # [4, 2]
        self.state = self.state + gain * (measured - self.state[:, 0])[:, None]
        self.covariance = self.covariance - gain[:, :, None] * self.covariance[:, None, 0]
        self.frames, self.unseen = self.frames + 1, 0


@dataclass
class Tracker:
    """Follows the objects of one video; `follow` takes its frames in their order.

    Attributes:
        min_score: Least score with which a track begins.
        count: How many tracks there were.
    """

    min_score: float
    count: int = 0
    _tracks: list[_Track] = field(default_factory=list)

    def follow(self, detections: ImageDetections) -> ImageDetections:
        """The objects of the next frame with the numbers of their tracks.

        Args:
            detections: With all objects from a score of `LEAST_SCORE` on.

        Returns:
            Sure objects, and unsure ones that go on with a track.
        """
        for track in self._tracks:
            track.predict()
        numbers: dict[int, int] = {}
        instances = detections.instances
        sure = [place for place, instance in enumerate(instances) if instance.score >= self.min_score]
        unsure = [place for place, instance in enumerate(instances) if instance.score < self.min_score]
        left = self._match(self._tracks, instances, sure, numbers, _SURE_OVERLAP, weighted=True)
        seen_before = [track for track in left if track.unseen == 1]
        self._match(seen_before, instances, unsure, numbers, _UNSURE_OVERLAP, weighted=False)
        self._tracks = [
            track for track in self._tracks if track.unseen == 0 or (track.frames > 1 and track.unseen <= _LOST_FRAMES)
        ]
        for place in sure:
            if place not in numbers:
                self.count += 1
                numbers[place] = self.count
                self._tracks.append(_Track.start(self.count, instances[place]))
        followed = (
            replace(instance, track=numbers[place]) for place, instance in enumerate(instances) if place in numbers
        )
        return replace(detections, instances=tuple(followed), tracked=True)

    def _match(
        self,
        tracks: Sequence[_Track],
        instances: Sequence[DetectedInstance],
        places: Sequence[int],
        numbers: dict[int, int],
        least: float,
        *,
        weighted: bool,
    ) -> list[_Track]:
        """Goes on with the tracks that fit to detections, whose numbers are kept by place; gives the other tracks."""
        if not tracks or not places:
            return list(tracks)
        boxes = np.array([instances[place].box for place in places], np.float64)
        likeness = overlaps(np.stack([track.box for track in tracks]), boxes)
        labels = np.array([instances[place].label for place in places])
        likeness *= np.array([track.label for track in tracks])[:, None] == labels
        if weighted:
            likeness *= np.array([instances[place].score for place in places])
        matched = set()
        for row, column in zip(*linear_sum_assignment(-likeness), strict=True):
            if likeness[row, column] >= least:
                tracks[row].update(instances[places[column]])
                numbers[places[column]] = tracks[row].number
                matched.add(row)
        return [track for row, track in enumerate(tracks) if row not in matched]


def overlaps(first: Array, second: Array) -> Array:
    """IoU [n, m] of boxes [n, 4] and [m, 4]."""
    corner = np.maximum(first[:, None, :2], second[:, :2])
    sides = (np.minimum(first[:, None, 2:], second[:, 2:]) - corner).clip(min=0)
    shared = sides.prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    union: Array = areas[0][:, None] + areas[1] - shared
    return shared / union.clip(min=1e-9)


def _middle(box: Sequence[float]) -> Array:
    """Middle, width and height."""
    left, top, right, bottom = box
    return np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])


def _noise(middle: Array) -> Array:
    """[4, 2]: how far positions and velocities may be off, by width across and by height down."""
    size = np.tile(middle[2:].clip(min=1.0), 2)
    return size[:, None] * np.array([_POSITION_NOISE, _VELOCITY_NOISE])
