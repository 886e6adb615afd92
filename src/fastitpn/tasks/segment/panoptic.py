"""From the masks that Mask2Former and MaskDINO draw to segments that do not overlap."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import Codes, Segment, thing_code
from fastitpn.tasks.maskdino.inference import class_probabilities
from fastitpn.tasks.segment.model import Segmenter
from fastitpn.tasks.segment.views import MOST_SCORES, TestTimeViews, resize_all, resized_rows

_LEAST_SCORE = 0.8
"""Masks whose class is less sure than this are not looked at, as published."""
_LEAST_SIGMOID = 0.25
"""The same for MaskDINO, whose scores are not shared out over the classes."""
_LEAST_VISIBLE = 0.8
"""Masks that surer ones hide more of than the rest are no segments, as published."""


@torch.no_grad()
def find_segments(
    model: Segmenter, images: Sequence[Tensor], views: TestTimeViews, counted: Sequence[bool]
) -> Iterator[tuple[int, Codes, list[Segment]]]:
    """The segments of images, as published: each pixel goes to the mask of the highest score there.

    Args:
        model: With the head of Mask2Former or MaskDINO, in evaluation mode.
        images: [3, H, W] each, normalised, in their own sizes, on the model's device.
        views: Size in which images are looked at, as a whole.
        counted: Whether each class is one of things, by label.

    Yields:
        Place of an image, in any order, and what `segments_of` gives for it.
    """
    for places, sizes in views.groups(images):
        outputs = model(resize_all([images[place] for place in places], sizes[0]))
        for place, classes, masks in zip(places, outputs["classes"][-1], outputs["masks"][-1], strict=True):
            height, width = images[place].shape[-2:]
            yield place, *segments_of(classes, masks, (height, width), counted)


def segments_of(
    classes: Tensor,
    masks: Tensor,
    size: tuple[int, int],
    counted: Sequence[bool],
    *,
    least_visible: float = _LEAST_VISIBLE,
) -> tuple[Codes, list[Segment]]:
    """The segments that queries stand for.

    Args:
        classes: Logits [queries, classes + 1], the last one of no class; or of MaskDINO [queries, classes].
        masks: Logits [queries, h, w].
        size: Height and width of the image in pixels.
        counted: Whether each class is one of things, by label.
        least_visible: Share of a mask that surer ones must leave.

    Returns:
        Codes int32 [H, W] on the CPU, see `data.panoptic_codes`, and the segments, the largest first.
    """
    if classes.shape[-1] > len(counted):
        scores, labels = classes.float().softmax(-1).max(-1)  # [queries]
        kept = (labels != len(counted)) & (scores >= _LEAST_SCORE)
    else:
        kept = classes.float().sigmoid().amax(-1) > _LEAST_SIGMOID
        scores, labels = class_probabilities(classes.float(), no_object=False).max(-1)
    places = kept.nonzero().flatten()
    scores, names = scores[places], labels[places].tolist()
    place, areas = _shared_out(masks[places].float(), scores, *size, least_visible)
    return _as_codes(place, areas, names, scores.tolist(), counted)


def _shared_out(
    masks: Tensor, scores: Tensor, height: int, width: int, least_visible: float
) -> tuple[Tensor, list[int]]:
    """Each pixel to one mask.

    Args:
        masks: Logits [n, h, w].
        scores: Score of each mask, [n].
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        least_visible: Share of a mask that surer ones must leave.

    Returns:
        Places [height, width] of masks, -1 where none is; and the pixels of each, 0 if too much of it is hidden.
    """
    place = torch.full((height, width), -1, dtype=torch.int32, device=masks.device)
    if not len(masks):
        return place.cpu(), []
    won = torch.zeros(len(masks), dtype=torch.int64, device=masks.device)
    whole = torch.zeros_like(won)
    rows = max(1, MOST_SCORES // (len(masks) * width))
    for first in range(0, height, rows):
        last = min(height, first + rows)
        inside = resized_rows(masks, first, last, height, width).sigmoid()  # [n, last - first, width]
        best = (inside * scores[:, None, None]).argmax(0)
        won += best.flatten().bincount(minlength=len(masks))
        whole += (inside >= 0.5).sum((1, 2))
        drawn = inside.gather(0, best[None])[0] >= 0.5
        place[first:last] = torch.where(drawn, best.int(), place[first:last])
    visible = won >= least_visible * whole
    areas = (place[place >= 0].bincount(minlength=len(masks)) * visible).tolist()
    return place.cpu(), areas


def _as_codes(
    place: Tensor, areas: Sequence[int], labels: Sequence[int], scores: Sequence[float], counted: Sequence[bool]
) -> tuple[Codes, list[Segment]]:
    """Masks of one kind of stuff become one segment; things are numbered, the largest first."""
    code_of = np.full(len(areas) + 1, IGNORE, dtype=np.int32)  # the last one is that of no mask, -1
    segments: dict[int, Segment] = {}
    for query in sorted(range(len(areas)), key=lambda mask: -areas[mask]):
        if not areas[query]:
            continue
        label = labels[query]
        code = thing_code(label, len(segments) + 1) if counted[label] else label
        before = segments.get(code)
        segments[code] = Segment(
            code=code,
            score=max(scores[query], before.score if before else 0.0),
            area=areas[query] + (before.area if before else 0),
        )
        code_of[query] = code
    return code_of[place.numpy()], sorted(segments.values(), key=lambda segment: -segment.area)
