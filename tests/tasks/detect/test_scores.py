"""COCO's figures equal those of pycocotools on the same detections."""

import contextlib
import io
import json

import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fastitpn.tasks.detect.scores import CocoScores, encode_masks

SIZES = ((120, 150), (200, 90), (64, 64), (100, 130))
STATS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", None, None, "ar")


def rectangles(count, height, width, generator):
    """Boxes [n, 4], and the masks of them cut at a corner."""
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 0.6
    size = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) * 0.8 + 3
    boxes = torch.cat((corner, torch.minimum(corner + size, torch.tensor([width, height]).float())), 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    masks = torch.stack(
        [(x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3]) & (x - box[0] > box[1] - y + 2) for box in boxes]
    )
    return boxes, masks


def batch_and_found(*, masks=True):
    """Images with things, some of them crowds, and detections near them and elsewhere."""
    generator = torch.Generator().manual_seed(0)
    batch = {key: [] for key in ("image_id", "size", "boxes", "labels", "crowd", "area", "masks")}
    found = []
    for number, (height, width) in enumerate(SIZES):
        count = (6, 5, 0, 7)[number]
        boxes, drawn = rectangles(max(count, 1), height, width, generator)
        boxes, drawn = boxes[:count], drawn[:count]
        labels = torch.randint(0, 2, (count,), generator=generator)
        batch["image_id"].append(100 - 7 * number)
        batch["size"].append((height, width))
        batch["boxes"].append(boxes)
        batch["labels"].append(labels)
        batch["crowd"].append(torch.rand(count, generator=generator) < 0.2)
        batch["area"].append(drawn.sum((1, 2)).float())
        batch["masks"].append(encode_masks(drawn))
        more, more_drawn = rectangles(8, height, width, generator)
        shifted = boxes + 3 * torch.randn(boxes.shape, generator=generator)
        scores = torch.rand(count + 8, generator=generator)
        found.append(
            {
                "boxes": torch.cat((shifted, more)),
                "labels": torch.cat((labels, torch.randint(0, 3, (8,), generator=generator))),
                "scores": scores,
                "masks": torch.cat((drawn.roll(2, -1), more_drawn)),
            }
        )
    if not masks:
        del batch["masks"]
        found = [{key: value for key, value in one.items() if key != "masks"} for one in found]
    return batch, found


@pytest.fixture
def three(classes):
    """A third class, of which there is nothing."""
    return type(classes)(names=(*classes.names, "star"), ids=(*classes.ids, 1))


def oracle(scores, kind):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(scores.truth))
        truth.createIndex()
        results = json.loads(json.dumps(scores.results()))
        if kind == "segm":
            results = [{key: value for key, value in one.items() if key != "bbox"} for one in results]
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize(("kind", "name"), [("bbox", "box"), ("segm", "mask")])
def test_figures_equal_those_of_pycocotools(three, kind, name):
    scores = CocoScores(three)
    batch, found = batch_and_found()
    for one in range(len(SIZES)):  # image by image
        scores.add({key: value[one : one + 1] for key, value in batch.items()}, found[one : one + 1])
    evaluation = oracle(scores, kind)
    figures = scores.figures()
    compared = 0
    for stat, value in zip(STATS, evaluation.stats, strict=False):
        if stat is not None and value > -1:
            assert figures[f"{name}_{stat}"] / 100 == pytest.approx(value, abs=1e-4)
            compared += 1
        elif stat is not None:
            assert f"{name}_{stat}" not in figures
    assert compared >= 6
    assert 0 < figures[f"{name}_ap"] < figures[f"{name}_ap50"] < 100
    own = scores.class_figures()
    assert set(own) == {"rectangle", "disc"}  # there are no stars
    precision = evaluation.eval["precision"]
    for name_of_class, number in zip(three.names[:2], three.ids[:2], strict=True):
        values = precision[:, :, evaluation.params.catIds.index(number), 0, -1]
        assert own[name_of_class][f"{name}_ap"] / 100 == pytest.approx(values[values > -1].mean(), abs=1e-4)


def test_the_truth_scores_hundred(classes):
    batch, _ = batch_and_found()
    batch["crowd"] = [torch.zeros_like(crowd) for crowd in batch["crowd"]]
    found = [{"boxes": b, "labels": l, "scores": torch.ones(len(l))} for b, l in zip(batch["boxes"], batch["labels"])]  # noqa: B905, E741
    scores = CocoScores(classes)
    scores.add(batch, found)
    figures = scores.figures()
    assert {key for key in figures if figures[key] != pytest.approx(100)} == set()
    assert not [key for key in figures if key.startswith("mask")]  # none were found
    assert {result["category_id"] for result in scores.results()} == {7, 3}
    assert {result["image_id"] for result in scores.results()} == {100, 93, 79}


def test_boxes_alone(classes):
    batch, found = batch_and_found(masks=False)
    for one in found:
        one["labels"] = one["labels"].clamp(max=1)
    scores = CocoScores(classes)
    scores.add(batch, found)
    assert {key.split("_")[0] for key in scores.figures()} == {"box"}
    assert "segmentation" not in scores.results()[0]


def test_nothing_was_found(classes):
    batch, found = batch_and_found()
    nothing = [{key: value[:0] for key, value in one.items()} for one in found]
    scores = CocoScores(classes)
    scores.add(batch, nothing)
    figures = scores.figures()
    assert scores.results() == []
    assert set(figures.values()) == {0.0}
    assert {"box_ap", "mask_ap"} <= set(figures)


def test_nothing_is_there(classes):
    batch, found = batch_and_found(masks=False)
    empty = {key: [value[2]] for key, value in batch.items()}
    scores = CocoScores(classes)
    scores.add(empty, [{**found[2], "labels": found[2]["labels"].clamp(max=1)}])
    assert scores.figures() == {"box_ap": 0.0, "box_ap50": 0.0, "box_ap75": 0.0, "box_ar": 0.0}
    assert scores.class_figures() == {}


def test_boxes_are_written_as_corner_and_size(classes):
    scores = CocoScores(classes)
    batch, _ = batch_and_found(masks=False)
    one = {key: value[:1] for key, value in batch.items()}
    scores.add(
        one,
        [{"boxes": torch.tensor([[1.0, 2, 11, 42]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.5])}],
    )
    assert scores.results() == [{"image_id": 100, "category_id": 3, "bbox": [1.0, 2.0, 10.0, 40.0], "score": 0.5}]
