"""Panoptic quality, by hand, as torchmetrics computes it, and with the rules of panopticapi for crowds."""

import numpy as np
import pytest
import torch
from torchmetrics.detection import PanopticQuality

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS, crowd_code, thing_code
from fastitpn.tasks.segment.panoptic_scores import class_scores, match_segments, panoptic_scores

COUNTED = (True, True, False, False)
ONE, TWO = thing_code(0, 1), thing_code(0, 2)


def row(*parts: tuple[int, int]) -> np.ndarray:
    """Codes [1, n]: so many pixels of each."""
    return np.concatenate([np.full(number, code, np.int32) for number, code in parts])[None]


def random_codes(seed: int, crowds: bool) -> np.ndarray:
    """Rectangles of things on stripes of stuff, with parts of no class."""
    generator = np.random.default_rng(seed)
    codes = np.repeat(generator.choice([2, 3, IGNORE], 4).astype(np.int32), 10)[:, None].repeat(40, 1)
    for number in range(1, 7):
        top, left = generator.integers(0, 30, 2)
        height, width = generator.integers(4, 20, 2)
        label = int(generator.integers(2))
        crowd = crowds and generator.random() < 0.25
        codes[top : top + height, left : left + width] = crowd_code(label) if crowd else thing_code(label, number)
    return codes


def disturbed(codes: np.ndarray, seed: int) -> np.ndarray:
    """As a network would find them: moved by a few pixels, some of another class."""
    generator = np.random.default_rng(seed)
    found = np.roll(codes, tuple(generator.integers(-2, 3, 2)), (0, 1))
    for code in np.unique(found):
        if code & LABEL_BITS == IGNORE:  # a network knows of no crowds
            found[found == code] = thing_code(int(generator.integers(2)), 50 + int(code) // 256)
        elif generator.random() < 0.2:
            found[found == code] = IGNORE if generator.random() < 0.5 else thing_code(1, 80)
    return found


def as_panopticapi(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Its loops over segments: `pq_compute_single_core`, with sets of pixels."""
    result = np.zeros((4, 4))
    pixels = {
        side: {c: set(np.flatnonzero(x == c).tolist()) for c in np.unique(x).tolist()}
        for side, x in (("true", true), ("found", found))
    }
    void = pixels["true"].get(IGNORE, set())
    segments = {side: {c: p for c, p in of.items() if c & LABEL_BITS != IGNORE} for side, of in pixels.items()}
    matched_true, matched_found = set(), set()
    for code, own in segments["true"].items():
        for other, theirs in segments["found"].items():
            both = len(own & theirs)
            union = len(own) + len(theirs) - both - len(void & theirs)
            if code & LABEL_BITS == other & LABEL_BITS and both / union > 0.5:
                result[code & LABEL_BITS, :2] += both / union, 1
                matched_true.add(code)
                matched_found.add(other)
    for code in segments["true"].keys() - matched_true:
        result[code & LABEL_BITS, 2] += 1
    for code in segments["found"].keys() - matched_found:
        theirs = segments["found"][code]
        forgiven = len(void & theirs) + len(pixels["true"].get(crowd_code(code & LABEL_BITS), set()) & theirs)
        if forgiven / len(theirs) <= 0.5:
            result[code & LABEL_BITS, 3] += 1
    return result


def test_by_hand():
    """One thing of two found well, the other not; stuff of another kind than it is."""
    true = row((10, ONE), (6, TWO), (4, 2))
    found = row((8, TWO), (2, IGNORE), (2, IGNORE), (3, ONE), (1, 3), (4, 3))
    matches = match_segments(found, true, 4)
    # class 0: IoU 8 / 10; TWO and its 3 of 6 pixels is not above a half, so missed, and what was found wrong
    assert matches.tolist() == [[0.8, 1, 1, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    scores = panoptic_scores(matches, COUNTED)
    assert scores["pq_things"] == pytest.approx(100 * 0.8 / 2)
    assert scores["sq_things"] == pytest.approx(80)
    assert scores["rq_things"] == pytest.approx(50)
    assert scores["pq_stuff"] == 0
    assert scores["pq"] == pytest.approx(40 / 3)


def test_classes_that_are_nowhere_do_not_count():
    scores = panoptic_scores(match_segments(row((5, ONE)), row((5, ONE)), 4), COUNTED)
    assert scores == {f"{name}{group}": 100 for group in ("", "_things") for name in ("pq", "sq", "rq")}
    assert panoptic_scores(match_segments(row((5, IGNORE)), row((5, IGNORE)), 4), COUNTED)["pq"] == 0
    assert np.isnan(class_scores(np.zeros((4, 4)))).all()


def test_what_lies_in_pixels_of_no_class_is_forgiven():
    true = row((10, IGNORE), (10, ONE))
    assert match_segments(row((6, TWO), (4, IGNORE), (10, ONE)), true, 4)[0].tolist() == [1, 1, 0, 0]
    # they are left out of the union too
    assert match_segments(row((10, ONE), (10, ONE)), true, 4)[0].tolist() == [1, 1, 0, 0]
    # half of it elsewhere is no excuse
    found = row((4, IGNORE), (6, TWO), (4, IGNORE), (6, ONE))
    found[0, 10:16] = TWO
    assert match_segments(found, true, 4)[0, 3] == 1


def test_a_crowd_forgives_its_own_class_alone():
    true = row((10, crowd_code(0)), (10, 2))
    own, other = (row((10, thing_code(label, 1)), (10, 2)) for label in (0, 1))
    assert match_segments(own, true, 4).tolist() == [[0] * 4, [0] * 4, [1, 1, 0, 0], [0] * 4]
    assert match_segments(other, true, 4)[1].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("seed", range(8))
def test_as_panopticapi(seed):
    true = random_codes(seed, crowds=True)
    found = disturbed(true, 100 + seed)
    np.testing.assert_allclose(match_segments(found, true, 4), as_panopticapi(found, true))


def test_as_torchmetrics():
    """Over several images, without crowds, which it does not know, and with each pixel in a segment that is found:
    where a network finds nothing it forgives the miss, which panopticapi does not."""
    metric = PanopticQuality(things={0, 1}, stuffs={2, 3}, return_sq_and_rq=True, return_per_class=True)
    total = np.zeros((4, 4))
    for seed in range(6):
        true = random_codes(seed, crowds=False)
        found = disturbed(true, seed)
        found[found & LABEL_BITS == IGNORE] = 3
        total += match_segments(found, true, 4)
        metric.update(*(torch.from_numpy(np.stack([x & LABEL_BITS, x // 256], -1))[None] for x in (found, true)))
    assert total[:, 1].sum() > 20
    assert total[:, 2:].sum() > 3
    np.testing.assert_allclose(class_scores(total), metric.compute().numpy())
