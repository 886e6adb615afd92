"""Tiles, scales and mirror images of detection: objects are found once, at their places in the whole image."""

import numpy as np
import pytest
import torch
from PIL import Image

import fastitpn
from fastitpn.config import parse
from fastitpn.data.detection.transforms import DetectEval
from fastitpn.errors import InputError
from fastitpn.tasks.detect.config import DetectPredictConfig
from fastitpn.tasks.detect.views import DetectViews, merged

WHOLE = DetectEval(mean=(0, 0, 0), std=(1, 1, 1), px=32, max_px=96)
SQUARES = [(10, 20, 18, 28), (95, 40, 105, 50), (150, 60, 158, 68)]  # the second lies across two tiles of 100 px
LARGE = (20, 30, 170, 90)


def image(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (200, 100)) -> Image.Image:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = 255
    return Image.fromarray(pixels)


def bright(images, sizes, *, min_score=0.0):
    """Stands in for a detector: the rectangle around what is bright in a view, and its mask; small ones are unseen."""
    for pixels, (height, width) in zip(images, sizes, strict=True):
        scale = torch.tensor([width / pixels.shape[2], height / pixels.shape[1]]).repeat(2)
        places = (pixels[0] > 0.5).nonzero()
        boxes = torch.zeros(0, 4)
        if len(places) and pixels.shape[2] >= 32:
            low, high = places.amin(0), places.amax(0) + 1
            boxes = torch.stack((low[1], low[0], high[1], high[0]))[None] * scale
        masks = torch.zeros(len(boxes), height, width, dtype=torch.bool)
        for mask, (left, top, right, bottom) in zip(masks, boxes.round().int().tolist(), strict=True):
            mask[top:bottom, left:right] = True
        scores = torch.full((len(boxes),), 0.5 + 0.001 * pixels.shape[2])
        good = scores >= min_score
        labels = torch.zeros(len(boxes), dtype=torch.int64)
        yield {"boxes": boxes[good], "scores": scores[good], "labels": labels[good], "masks": masks[good]}


@pytest.mark.parametrize(
    ("size", "tile", "overlap", "expected"),
    [
        ((200, 100), 100, 0.0, [(0, 0, 100, 100), (100, 0, 200, 100)]),
        ((200, 100), 100, 0.25, [(0, 0, 100, 100), (50, 0, 150, 100), (100, 0, 200, 100)]),
        ((200, 150), 120, 0.5, [(x, y, x + 120, y + 120) for y in (0, 30) for x in (0, 40, 80)]),
        ((100, 40), 100, 0.5, []),
        ((16, 17), 16, 0.9, [(0, 0, 16, 16), (0, 1, 16, 17)]),
    ],
)
def test_tiles_cover_the_image_evenly(size, tile, overlap, expected):
    assert DetectViews(whole=WHOLE, tile=tile, overlap=overlap).parts(*size) == [(0, 0, *size), *expected]


@pytest.mark.parametrize("flip", [False, True])
def test_what_tiles_find_lies_at_its_place_in_the_image(flip):
    views = DetectViews(whole=WHOLE, tile=40, overlap=0.5, flip=flip)
    seen = views(image(SQUARES[0], SQUARES[2]))
    detections = views.detect(bright, seen)
    small = [box for box in detections["boxes"].tolist() if box[2] - box[0] < 30]
    assert len(small) == 2
    for box, expected in zip(sorted(small), (SQUARES[0], SQUARES[2]), strict=True):
        assert box == pytest.approx(expected, abs=1.5)
    areas = {
        box[0] // 100: int(mask.sum())
        for box, mask in zip(detections["boxes"].tolist(), detections["masks"], strict=True)
    }
    assert areas[1.0] == pytest.approx(64, abs=20)
    for box, mask in zip(detections["boxes"].tolist(), detections["masks"], strict=True):
        rows, columns = mask.nonzero().unbind(-1)
        around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert [float(side) for side in around] == pytest.approx(box, abs=1)


def test_an_object_across_tiles_is_found_once():
    views = DetectViews(whole=WHOLE, tile=100, overlap=0.0)
    [box] = views.detect(bright, views(image(LARGE)))["boxes"].tolist()  # of the whole image; both halves are left out
    assert box == pytest.approx(LARGE, abs=5)


def test_merging_is_by_class_and_whole_objects_come_first():
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 10, 10], [0, 0, 10, 10], [0, 0, 4, 10], [50, 0, 60, 10]]).float()
    scores, labels = torch.tensor([0.8, 0.9, 0.7, 0.95, 0.3]), torch.tensor([0, 0, 1, 0, 0])
    cut = torch.tensor([False, False, False, True, True])
    assert merged(boxes, scores, labels, cut).tolist() == [1, 2, 4]
    none = torch.zeros(0)
    assert merged(none.reshape(0, 4), none, none.long(), none.bool()).tolist() == []


def test_views_by_scale_and_mirror_image():
    views = DetectViews(whole=WHOLE, scales=(1.0, 1.5), flip=True)
    seen = views(image(SQUARES[0], size=(64, 64)))
    assert [tuple(view.pixels.shape[1:]) for view in seen.views] == [(32, 32)] * 2 + [(48, 48)] * 2
    assert torch.equal(seen.views[1].pixels, seen.views[0].pixels.flip(-1))
    found = views.detect(bright, seen)
    assert found["boxes"][0].tolist() == pytest.approx(SQUARES[0], abs=2)
    assert found["scores"].tolist() == pytest.approx([0.548])  # of the larger size


def test_what_cannot_be():
    for words, text in (
        (["tile=8"], "tile: expected at least 16, the edge of a patch in pixels, got 8"),
        (["tile=0"], "tile: expected a whole number of at least 1"),
        (["tile=64", "overlap=1"], "overlap: expected"),
        (["overlap=0.5"], "overlap: expected none without tile, got 0.5"),
    ):
        with pytest.raises(InputError) as caught:
            parse(DetectPredictConfig, ["a.ckpt", "photos", *words])
        assert text in str(caught.value)


def test_predict_and_evaluate_look_at_tiles(detector_run, detect_scenes, folder, tmp_path):
    keys = {"device": "cpu", "workers": 0, "min_score": 0.1}
    plain = fastitpn.predict(detector_run.directory, folder / "near", out=tmp_path / "a", **keys)
    same = fastitpn.predict(detector_run.directory, folder / "near", out=tmp_path / "b", tile=4000, **keys)
    tiled = fastitpn.predict(detector_run.directory, folder / "near", out=tmp_path / "c", tile=40, flip=True, **keys)
    assert len(plain) == len(same) == len(tiled) == 3
    assert plain.results != tiled.results
    for result in tiled:
        assert all(instance.mask.shape == result.size[::-1] for instance in result.instances)
        boxes = np.array([instance.box for instance in result.instances])
        assert (boxes >= -1e-3).all()
        assert (boxes[:, [0, 2]] <= result.size[0] + 1e-3).all()
    evaluation = fastitpn.evaluate(
        detector_run.directory, detect_scenes, out=tmp_path / "d", tile=32, scales=(1.0, 2.0), device="cpu", workers=0
    )
    assert set(evaluation.metrics) >= {"box_ap", "mask_ap"}
