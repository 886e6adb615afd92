"""Panoptic quality (Kirillov et al., 2019), with crowds and pixels of no class as in COCO's panopticapi.

    PQ = sum of IoU over matches / (matches + misses / 2 + false alarms / 2) = SQ RQ

A true and a found segment of one class match if their IoU is above 1/2, pixels of no class left out of it. A segment
of which more than half lies in pixels of no class, or in a crowd of its own class, is no false alarm.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS, NUMBERS, Codes

Matches = NDArray[np.float64]
"""[classes, 4]: sum of the IoU of matches, their number, misses, false alarms. Those of images are added up."""

_SHIFT = 2**32


def match_segments(predicted: Codes, true: Codes, num_classes: int) -> Matches:
    """Matches, misses and false alarms of one image; segments match where their IoU is above one half.

    Args:
        predicted: Codes of the segments of all pixels, see `data.panoptic_codes`.
        true: True codes, of the same shape.
        num_classes: Number of classes.
    """
    pairs, areas = np.unique(true.astype(np.int64) * _SHIFT + predicted, return_counts=True)
    true_codes, of_true = np.unique(pairs // _SHIFT, return_inverse=True)
    predicted_codes, of_predicted = np.unique(pairs % _SHIFT, return_inverse=True)
    true_labels, predicted_labels = true_codes & LABEL_BITS, predicted_codes & LABEL_BITS
    true_areas = np.bincount(of_true, areas)
    predicted_areas = np.bincount(of_predicted, areas)

    hidden_by = true_codes[of_true]  # for each pair of segments, the true one
    void = np.bincount(of_predicted, areas * (hidden_by == IGNORE))
    own_crowd = IGNORE + NUMBERS * (1 + predicted_labels[of_predicted])  # as `crowd_code`
    crowd = np.bincount(of_predicted, areas * (hidden_by == own_crowd))

    same = (true_labels[of_true] == predicted_labels[of_predicted]) & (true_labels[of_true] != IGNORE)
    iou = areas / (true_areas[of_true] + predicted_areas[of_predicted] - areas - void[of_predicted]).clip(min=1)
    hits = same & (iou > 0.5)
    missed = true_labels != IGNORE
    missed[of_true[hits]] = False
    wrong = (predicted_labels != IGNORE) & (void + crowd <= 0.5 * predicted_areas)
    wrong[of_predicted[hits]] = False

    result = np.zeros((num_classes, 4))
    np.add.at(result[:, 0], true_labels[of_true[hits]], iou[hits])
    np.add.at(result[:, 1], true_labels[of_true[hits]], 1)
    np.add.at(result[:, 2], true_labels[missed], 1)
    np.add.at(result[:, 3], predicted_labels[wrong], 1)
    return result


def class_scores(matches: Matches) -> NDArray[np.float64]:
    """PQ, SQ and RQ of each class, [classes, 3] in [0, 1]; nan for one that is neither there nor found."""
    iou, hits, misses, wrong = matches.T
    possible = hits + (misses + wrong) / 2
    possible[possible == 0] = np.nan
    quality = np.where(np.isnan(possible), np.nan, iou / hits.clip(min=1))
    return np.stack([iou / possible, quality, hits / possible], 1)


def panoptic_scores(matches: Matches, counted: Sequence[bool]) -> dict[str, float]:
    """PQ, SQ and RQ in percent: means over all classes, over those of things, and over those of stuff.

    Classes that are neither there nor found do not count; things or stuff of which that leaves none have no figures.

    Args:
        matches: Matches of all images, added up.
        counted: Whether each class is one of things, by label.
    """
    scores = 100 * class_scores(matches)
    there = ~np.isnan(scores[:, 0])
    things = np.array(counted, dtype=bool)
    groups = {"": there, "_things": there & things, "_stuff": there & ~things}
    return {
        f"{name}{group}": float(scores[chosen, place].mean()) if chosen.any() else 0.0
        for group, chosen in groups.items()
        if chosen.any() or not group
        for place, name in enumerate(("pq", "sq", "rq"))
    }
