"""R-CNNs as published for iTPN: convolutions with batch norm, overlap as loss, a mask head for each stage."""

import pytest
import torch
from torch import nn
from torchvision.models.detection._utils import BoxCoder

from fastitpn.tasks.detect.heads.region_losses import proposal_losses, region_losses
from fastitpn.tasks.detect.model import create_detector

PUBLISHED = {"box_head": "conv", "box_loss": "giou", "region_loss": "l1", "sampling": 0}


@pytest.fixture
def published(small):
    """Makes a small detector with the published parts."""

    def make(name: str):
        own = {"own_regions": True} if name.startswith("cascade") else {}
        torch.manual_seed(0)
        return create_detector(small["model"], {"name": name, "arguments": {**small[name], **PUBLISHED, **own}}, 2)

    return make


@pytest.mark.parametrize("name", ["faster_rcnn", "mask_rcnn", "cascade_mask_rcnn"])
def test_every_part_learns(published, pictures, name):
    model = published(name).train()
    model.losses(*pictures)["loss"].backward()
    heads = model.roi_heads
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in heads.modules()) == 4 * len(heads.stages)
    idle = [name for name, weight in heads.named_parameters() if weight.grad is None or not weight.grad.abs().sum()]
    assert not idle


def test_each_stage_of_the_cascade_has_regions_and_masks_of_its_own(published, pictures):
    model = published("cascade_mask_rcnn").train()
    losses = model.losses(*pictures)
    stages = [f"loss_{part}_{stage}" for part in ("classifier", "box_reg", "mask") for stage in (1, 2, 3)]
    assert set(losses) == {"loss", "loss_objectness", "loss_rpn_box_reg", *stages}
    assert [predictor.bbox_pred.out_features for predictor in model.roi_heads.box_predictors] == [12] * 3
    assert {layer for layer in model.class_layers if "mask" in layer} == {
        f"roi_heads.mask_predictor.{stage}.mask_fcn_logits." for stage in range(3)
    }
    named = dict(model.named_parameters())
    assert all(any(name.startswith(layer) for name in named) for layer in model.class_layers)


def test_true_boxes_are_not_handed_on_to_the_next_stage(published, pictures):
    """Each stage adds them itself: handed on they would be moved, and stand there twice."""
    heads = published("cascade_mask_rcnn").train().roi_heads
    sampled = []

    def sample(proposals, targets):
        sampled.append([len(boxes) for boxes in proposals])
        chosen = [torch.cat([boxes, target["boxes"]]) for boxes, target in zip(proposals, targets, strict=True)]
        places, labels = heads.assign_targets_to_proposals(
            chosen, [target["boxes"] for target in targets], [target["labels"] for target in targets]
        )
        goals = [target["boxes"][place] for target, place in zip(targets, places, strict=True)]
        return chosen, places, labels, heads.box_coder.encode(goals, chosen)

    heads.select_training_samples = sample
    maps = {str(stride): torch.randn(1, 64, 64 // stride, 64 // stride) for stride in (4, 8, 16, 32)}
    target = {name: pictures[1][1][name] for name in ("boxes", "masks")}
    target |= {"labels": pictures[1][1]["labels"] + 1, "ignored": torch.zeros(0, 4)}
    regions = torch.tensor([[2.0, 2.0, 20.0, 30.0], [5.0, 5.0, 40.0, 60.0], [10.0, 20.0, 30.0, 50.0]])
    heads(maps, [regions], [(64, 64)], [target])
    assert sampled == [[3], [3], [3]]


def test_a_mask_is_the_mean_of_the_stages(published, pictures):
    model = published("cascade_mask_rcnn").eval()
    logits = {0: 3.0, 1: 0.0, 2: -1.0}

    def draw(stage, features, boxes, shapes):
        return torch.full((sum(map(len, boxes)), 3, 28, 28), logits[stage])

    model.roi_heads._draw = draw
    [found] = model.canvas_detections(pictures[0][1][None], [(64, 64)])
    mean = torch.tensor(list(logits.values())).sigmoid().mean()
    torch.testing.assert_close(found["masks"], mean.expand(found["masks"].shape))
    assert len(found["masks"])


def test_the_loss_of_boxes_by_their_overlap():
    """A region of 10x10 px that should be 10x20 px: overlap and hull make 1 - 0.5."""
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    regions = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    true = torch.tensor([[0.0, 0.0, 10.0, 20.0], [0.0, 0.0, 10.0, 10.0]])
    goals, labels = coder.encode([true], [regions]), [torch.tensor([2, 0])]
    logits, deltas = torch.zeros(2, 3), torch.zeros(2, 12)
    class_loss, box_loss = region_losses(logits, deltas, labels, list(goals), [regions], coder, "giou")
    torch.testing.assert_close(class_loss, torch.tensor(3.0).log())
    torch.testing.assert_close(box_loss, torch.tensor(10 * 0.5 / 2))
    deltas[0, 8:12] = goals[0][0]
    right = region_losses(logits, deltas, labels, list(goals), [regions], coder, "giou")[1]
    torch.testing.assert_close(right, torch.tensor(0.0), atol=1e-5, rtol=0)


def test_the_loss_of_the_proposals():
    goals = torch.tensor([[1.0, -2.0, 0.5, 0.0], [9.0, 9.0, 9.0, 9.0], [9.0, 9.0, 9.0, 9.0]])
    positive, negative = torch.tensor([0]), torch.tensor([2])
    class_loss, box_loss = proposal_losses(
        torch.zeros(3), torch.zeros(3, 4), torch.tensor([1.0, 0.0, 0.0]), goals, positive, negative
    )
    torch.testing.assert_close(class_loss, torch.tensor(2.0).log())
    torch.testing.assert_close(box_loss, torch.tensor(3.5 / 2))


def test_nothing_is_there(published):
    """Batch norm and losses of no positive region, and detections of none."""
    model = published("cascade_mask_rcnn").train()
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "masks": torch.zeros(0, 64, 80)}
    assert torch.isfinite(model.losses([torch.randn(3, 64, 80)], [empty])["loss"])
    model.eval().roi_heads.score_thresh = 1.1
    assert model.detect([torch.randn(3, 64, 80)])[0]["masks"].shape == (0, 64, 80)
