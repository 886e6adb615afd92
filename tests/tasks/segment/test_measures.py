"""What is counted image by image: metrics of their sum, titles in reports."""

import numpy as np
import pytest
import torch

from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses, distinct_colors
from fastitpn.tasks.segment import measures
from fastitpn.tasks.segment.measures import PixelMeasure, SegmentMeasure, measure_of
from fastitpn.tasks.segment.panoptic_scores import panoptic_scores
from fastitpn.tasks.segment.views import TestTimeViews
from fastitpn.training.metric import describe_metric

NAMES = ("sky", "cat", "dog")
CLASSES = SegmentationClasses(names=NAMES, colors=distinct_colors(NAMES))
THINGS = SegmentationClasses(names=NAMES, colors=distinct_colors(NAMES), things=("cat", "dog"))
VIEWS = TestTimeViews(px=64)
CAT = 1 + 256


@pytest.fixture
def codes(monkeypatch) -> np.ndarray:
    """What a network finds, whatever it is shown: sky above a cat."""
    codes = np.zeros((8, 8), np.int32)
    codes[4:] = CAT
    monkeypatch.setattr(measures, "find_segments", lambda model, images, views, counted: [(0, codes, [])])
    return codes


def test_which_is_measured():
    assert (measure_of(CLASSES), measure_of(THINGS)) == (PixelMeasure, SegmentMeasure)
    for measure in (PixelMeasure(CLASSES), SegmentMeasure(THINGS)):
        assert set(measure.scores()) <= {metric.name for metric in measure.metrics}


def test_segments_are_added_up(codes):
    measure = SegmentMeasure(THINGS)
    truth = torch.from_numpy(codes.copy())
    [right] = measure.add(None, [torch.zeros(3, 8, 8)], [truth], VIEWS)
    assert (right.score, right.counts) == (100, True)
    assert np.array_equal(right.prediction, codes)
    truth[:] = 0
    [wrong] = measure.add(None, [torch.zeros(3, 8, 8)], [truth], VIEWS)
    assert wrong.score == 0
    assert measure.matches.tolist() == [[1, 1, 1, 1], [1, 1, 0, 1], [0] * 4]
    assert measure.scores() == panoptic_scores(measure.matches, THINGS.counted)


def test_images_come_in_their_order_and_in_smaller_batches_where_memory_runs_out(monkeypatch, capsys):
    """Each image is of the class that its pixels say; the network sees those of one size together, first or last."""
    sizes = []

    class Told:
        def log_probabilities(self, images):
            sizes.append(tuple(images.shape))
            if len(images) > 2:
                raise MemoryError
            cells = images[:, :1, ::4, ::4].round().clamp(0, 2)
            return torch.cat([-20.0 * (cells != label) for label in range(3)], 1).log_softmax(1)

    labels = [2, 0, 1, 2, 1]
    images = [torch.full((3, 64, 64 if place != 1 else 96), float(label)) for place, label in enumerate(labels)]
    measure = PixelMeasure(CLASSES)
    scores = measure.add(Told(), images, [torch.full(image.shape[1:], 1) for image in images], VIEWS)
    assert [int(score.prediction[0, 0]) for score in scores] == labels
    assert measure.matrix[1].tolist() == [64 * 96, 2 * 64 * 64, 2 * 64 * 64]
    assert sizes == [(4, 3, 64, 64), (4, 3, 64, 64), (2, 3, 64, 64), (2, 3, 64, 64), (1, 3, 64, 96)]
    assert capsys.readouterr().out.splitlines()[-1] == "out of memory with 4 windows in a batch: going on with 2"


def test_an_image_of_which_nothing_counts(codes):
    [score] = SegmentMeasure(THINGS).add(None, [torch.zeros(3, 8, 8)], [torch.full((8, 8), IGNORE)], VIEWS)
    assert not score.counts


def test_titles_in_reports():
    shown = {metric.name: metric for measure in (PixelMeasure, SegmentMeasure) for metric in measure.metrics}
    titles = {name: describe_metric(name, shown).title for name in ("miou", "mean_accuracy", "pq", "rq_stuff")}
    assert titles == {
        "miou": "Mean IoU",
        "mean_accuracy": "Mean accuracy",
        "pq": "Panoptic quality (PQ)",
        "rq_stuff": "RQ stuff",
    }
    assert describe_metric("best_pq", shown).title == "Best panoptic quality (PQ)"
