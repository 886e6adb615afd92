"""Where torchvision guesses strides, ours are those of the pyramid."""

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from fastitpn.models.pyramid import STRIDES
from fastitpn.tasks.detect.heads.rcnn_detector import LevelAnchors, LevelPool


def maps(height: int, width: int) -> list[Tensor]:
    return [torch.zeros(1, 2, -(-height // stride), -(-width // stride)) for stride in STRIDES]


@pytest.mark.parametrize("size", [(64, 128), (80, 48), (16, 208)])
def test_anchors_have_the_strides_of_the_pyramid(size):
    """Also where the coarse maps were rounded up: 80 px are two cells of 64, and not of 40."""
    levels = maps(*size)
    [anchors] = LevelAnchors(4)(ImageList(torch.zeros(1, 3, *size), [size]), levels)
    sides = [level.shape[-2:] for level in levels]
    assert len(anchors) == sum(3 * height * width for height, width in sides)
    for stride, (height, width), own in zip(
        STRIDES, sides, anchors.split([3 * height * width for height, width in sides]), strict=True
    ):
        centres = (own[:, :2] + own[:, 2:]) / 2
        assert centres.amax(0).tolist() == [(width - 0.5) * stride, (height - 0.5) * stride]
        areas = (own[:, 2:] - own[:, :2]).prod(1)
        assert areas.mean().item() == pytest.approx((4 * stride) ** 2, rel=0.1)


def test_regions_are_cut_out_where_they_are():
    """A map that holds its own coordinates gives those of the regions, of whatever size the first image was."""
    pool = LevelPool(7, 4)
    for size in ((48, 33), (128, 176)):
        features = {}
        for stride, level in zip(STRIDES, maps(*size), strict=True):
            height, width = level.shape[-2:]
            y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
            features[str(stride)] = stride * torch.stack((x, y))[None]
        boxes = torch.tensor([[8.0, 10.0, 24.0, 22.0], [6.0, 9.0, 16.0, 13.0]])
        regions = pool(features, [boxes], [size])
        torch.testing.assert_close(regions.mean((-2, -1)), (boxes[:, :2] + boxes[:, 2:]) / 2)


def test_large_things_are_looked_for_on_coarse_levels():
    pool = LevelPool(7, 4)
    sides = torch.tensor([20.0, 30.0, 60.0, 120.0, 500.0])
    boxes = torch.stack((torch.zeros(5), torch.zeros(5), sides, sides), 1)
    assert pool.level_of([boxes]).tolist() == [0, 0, 1, 2, 3]


def target_with(ignored: list[list[float]]) -> dict[str, Tensor]:
    boxes = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    return {"boxes": boxes, "labels": torch.tensor([1]), "ignored": torch.tensor(ignored).reshape(-1, 4)}


@pytest.mark.parametrize(
    ("ignored", "label"), [([], 0), ([[30.0, 30.0, 64.0, 64.0]], -1), ([[52.0, 52.0, 64.0, 64.0]], 0)]
)
def test_an_anchor_where_a_crowd_is_is_no_background(create, ignored, label):
    anchors = torch.tensor([[0.0, 0.0, 16.0, 16.0], [40.0, 40.0, 56.0, 56.0]])
    labels, _ = create("faster_rcnn").rpn.assign_targets_to_anchors([anchors], [target_with(ignored)])
    assert labels[0].tolist() == [1, label]


def test_a_region_where_a_crowd_is_is_no_background(create):
    regions = torch.tensor([[0.0, 0.0, 16.0, 15.0], [40.0, 40.0, 56.0, 56.0], [0.0, 40.0, 16.0, 56.0]])
    heads = create("faster_rcnn").roi_heads
    everywhere = target_with([[0.0, 0.0, 64.0, 30.0], [30.0, 30.0, 64.0, 64.0]])
    assert heads._outside(regions, everywhere).tolist() == regions[[0, 2]].tolist()  # the first is a target's
    assert heads._outside(regions, target_with([])).tolist() == regions.tolist()


@pytest.mark.parametrize("name", ["mask_rcnn", "cascade_mask_rcnn"])
def test_an_image_that_is_a_crowd_teaches_nothing(create, name):
    torch.manual_seed(0)
    model = create(name).train()
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "masks": torch.zeros(0, 64, 80)}
    losses = [
        model.losses([torch.ones(3, 64, 80)], [{**target, "ignored": torch.tensor(boxes).reshape(-1, 4)}])
        for boxes in ([], [[-200.0, -200.0, 300.0, 300.0]])
    ]
    assert losses[0]["loss"] > 0.1
    assert all(torch.nan_to_num(loss) == 0 for name, loss in losses[1].items())


@pytest.mark.parametrize("name", ["mask_rcnn", "faster_rcnn", "cascade_mask_rcnn"])
def test_no_region_is_good_enough(create, name):
    """Then there are no boxes to draw masks in."""
    model = create(name).eval()
    model.roi_heads.score_thresh = 1.1
    [found] = model.detect([torch.randn(3, 64, 80)])
    assert len(found["scores"]) == 0
    assert not model.has_masks or found["masks"].shape == (0, 64, 80)
