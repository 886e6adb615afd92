"""What an evaluation of a panoptic network gives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastitpn.reporting.sections import Table
from fastitpn.tasks.segment.evaluation import MaskEvaluation
from fastitpn.tasks.segment.metrics import PQ, RQ
from fastitpn.tasks.segment.panoptic_scores import Matches, class_scores, panoptic_scores
from fastitpn.tasks.segment.tables import panoptic_table


@dataclass(frozen=True, kw_only=True)
class PanopticEvaluation(MaskEvaluation):
    """Metrics of segments.

    Attributes:
        metrics: pq, sq and rq, and with `_things` and `_stuff`, in percent.
        counted: Whether each class is one of things, by label.
        matches: [classes, 4] sum of the IoU of matches, their number, misses and false alarms.
    """

    columns = "Image, segments, found"
    main = (PQ, RQ)
    lowest = "PQ"

    counted: tuple[bool, ...]
    matches: Matches

    def of_images(self, places: Sequence[int]) -> float:
        """PQ in percent."""
        matches = np.stack([self.by_image[place] for place in places]).sum(0)
        return panoptic_scores(matches, self.counted).get(PQ.name, math.nan)

    @property
    def table(self) -> Table:
        """PQ, SQ and RQ of each class."""
        return panoptic_table(class_scores(self.matches), self.matches, self.classes, self.counted)
