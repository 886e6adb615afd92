"""From masks to segments: scores, masks that hide each other, stuff in one piece, sizes."""

import numpy as np
import pytest
import torch

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.tasks.segment import panoptic
from fastitpn.tasks.segment.panoptic import find_segments
from fastitpn.tasks.segment.views import TestTimeViews

COUNTED = (True, True, False)
"""Two classes of things, one of stuff."""
VIEWS = TestTimeViews(px=64)


class Drawn:
    """A network that draws given masks.

    Args:
        masks: Of each query, [64, 64] of bool: where it draws; sure of it everywhere.
        classes: Of each query: its class, and how sure; class 3 is none.
    """

    def __init__(self, masks: list[torch.Tensor], classes: list[tuple[int, float]]):
        logits = torch.full((1, len(classes), 4), -30.0)
        for query, (label, sure) in enumerate(classes):
            logits[0, query, label] = np.log(sure)
            logits[0, query, (label + 1) % 4] = np.log(max(1 - sure, 1e-12))
        # a quarter of the size, as a head does
        drawn = torch.stack([40.0 * mask[::4, ::4].float() - 20 for mask in masks])[None]
        self.outputs = {"classes": [logits], "masks": [drawn]}

    def __call__(self, images):
        assert images.shape[-2:] == (64, 64)
        return self.outputs


def box(top: int, left: int, bottom: int, right: int) -> torch.Tensor:
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def find(masks, classes, size=(64, 64)):
    [(_, codes, segments)] = find_segments(Drawn(masks, classes), [torch.zeros(3, *size)], VIEWS, COUNTED)
    return codes, segments


def test_things_are_counted_and_stuff_is_one_segment():
    masks = [box(0, 0, 16, 16), box(32, 32, 64, 64), box(0, 32, 16, 64), box(32, 0, 64, 16)]
    codes, segments = find(masks, [(0, 0.95), (0, 0.99), (2, 0.9), (2, 0.97)])
    assert [(one.label, one.number > 0) for one in segments] == [(0, True), (2, False), (0, True)]
    assert len({one.code for one in segments}) == 3
    assert [one.area for one in segments] == [(codes == one.code).sum() for one in segments]
    assert [round(one.score, 2) for one in segments] == [0.99, 0.97, 0.95]  # of stuff, the surest part's
    assert codes.dtype == np.int32
    assert codes[8, 8] == segments[2].code
    assert codes[8, 48] == codes[48, 8] == 2
    assert codes[24, 24] == IGNORE


def test_who_is_not_sure_or_hidden_is_no_segment():
    large, small = box(0, 0, 64, 64), box(16, 16, 48, 48)
    codes, segments = find([large, small, box(0, 0, 8, 8)], [(2, 0.9), (0, 0.99), (3, 0.99)])
    # the surer thing hides a quarter of the stuff, more than a fifth: the rest is of no segment
    assert [one.label for one in segments] == [0]
    assert set(np.unique(codes)) == {segments[0].code, IGNORE}
    _, segments = find([large, small], [(2, 0.9), (0, 0.3)])
    assert [one.label for one in segments] == [2]
    assert segments[0].area == 64 * 64


def test_nothing_is_found_in_nothing():
    codes, segments = find([box(0, 0, 64, 64)], [(3, 0.99)])
    assert segments == []
    assert (codes == IGNORE).all()


@pytest.mark.parametrize("most", [2**25, 1000])
def test_at_the_size_of_the_image_however_many_rows_at_a_time(monkeypatch, most):
    monkeypatch.setattr(panoptic, "MOST_SCORES", most)
    codes, segments = find([box(0, 0, 32, 64), box(32, 0, 64, 64)], [(0, 0.99), (1, 0.98)], size=(100, 100))
    assert codes.shape == (100, 100)
    assert [one.area for one in segments] == [5000, 5000]
    assert (codes[:50] & 255 == 0).all()
