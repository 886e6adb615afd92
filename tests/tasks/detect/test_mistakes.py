"""Which mistakes of a detector are told, and how."""

from pathlib import Path

import torch
from PIL import Image

from fastitpn.data.detection.annotations import Annotations
from fastitpn.tasks.detect.mistakes import draw_mistakes, find_mistakes, worst

NAMES = ["cat", "dog"]
LEFT, RIGHT, BELOW = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [0.0, 20.0, 18.0, 38.0]


def annotations(boxes: list, labels: list, crowd: list | None = None) -> Annotations:
    count = len(boxes)
    return Annotations(
        boxes=torch.tensor(boxes).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        crowd=torch.tensor(crowd or [False] * count, dtype=torch.bool),
        area=torch.ones(count),
        ids=torch.arange(count),
        masks=None,
    )


def find(truth: Annotations, boxes: list, scores: list, labels: list, path: Path = Path("a.png")):
    found = {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "scores": torch.tensor(scores),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
    return find_mistakes(path, truth, found, NAMES, 0.5)


def captions(mistakes) -> list[str]:
    return [mistake.caption for mistake in mistakes]


def test_what_is_right_is_none():
    near = [1.0, 0.0, 10.0, 10.0]
    assert find(annotations([LEFT, RIGHT], [0, 1]), [near, RIGHT], [0.9, 0.6], [0, 1]) == []
    assert find(annotations([], []), [], [], []) == []


def test_each_kind_of_mistake():
    truth = annotations([LEFT, RIGHT, BELOW], [0, 1, 1])
    found = find(truth, [LEFT, LEFT, RIGHT, BELOW], [0.9, 0.8, 0.7, 0.4], [0, 0, 0, 1])
    assert captions(found) == ["cat (80%), is none", "cat (70%), is dog", "missed: dog, taken for cat", "missed: dog"]


def test_crowds_are_neither_found_nor_missed():
    truth = annotations([LEFT], [0], [True])
    assert find(truth, [], [], []) == []
    assert find(truth, [LEFT, LEFT], [0.9, 0.8], [0, 0]) == []
    assert captions(find(truth, [LEFT], [0.9], [1])) == ["dog (90%), is cat"]


def test_the_worst_are_the_most_sure_and_the_largest():
    mistakes = find(annotations([LEFT, BELOW], [0, 1]), [RIGHT, RIGHT], [0.6, 0.9], [0, 1])
    assert captions(worst(mistakes)) == ["dog (90%), is none", "cat (60%), is none", "missed: dog", "missed: cat"]
    assert captions(worst(mistakes, most=1)) == ["dog (90%), is none", "missed: dog"]


def test_they_are_drawn_in_their_surroundings(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (200, 100), (10, 20, 30)).save(path)
    [item] = draw_mistakes(find(annotations([], []), [RIGHT], [0.9], [1], path), NAMES)
    assert (item.caption, item.good) == ("dog (90%), is none, a.png", False)
    assert max(item.image.size) == 320
    assert len(item.image.getcolors(10_000)) > 1
