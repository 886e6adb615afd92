"""A cascade: three stages, each of which begins with the boxes of the one before."""

import pytest
import torch


@pytest.fixture
def model(create):
    return create("cascade_mask_rcnn")


def test_each_stage_asks_for_more_overlap(model):
    heads = model.roi_heads
    target = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    boxes = torch.tensor([[0.0, 0.0, 10.0, 5.5], [0.0, 0.0, 10.0, 6.5], [0.0, 0.0, 10.0, 7.5]])  # overlap .55 .65 .75
    found = []
    for stage in range(3):
        heads._use_stage(stage)
        found.append(heads.assign_targets_to_proposals([boxes], [target], [torch.tensor([2])])[1][0].tolist())
    assert found == [[2, 2, 2], [0, 2, 2], [0, 0, 2]]


def test_a_stage_begins_with_the_boxes_of_the_one_before(model, pictures):
    seen = []
    look = model.roi_heads._look

    def watch(stage, features, proposals, shapes):
        logits, deltas = look(stage, features, proposals, shapes)
        seen.append((proposals[0], deltas[: len(proposals[0])]))
        return logits, deltas

    model.roi_heads._look = watch
    model.eval().detect(pictures[0][:1])
    for stage in range(2):
        boxes, deltas = seen[stage]
        model.roi_heads._use_stage(stage)
        expected = model.roi_heads.box_coder.decode(deltas, [boxes])[:, 0].clamp(min=0)
        expected = torch.minimum(expected, torch.tensor([80.0, 64.0, 80.0, 64.0]))
        torch.testing.assert_close(seen[stage + 1][0], expected)


def test_scores_are_the_mean_of_the_stages(model, pictures):
    logits = torch.tensor([[[0.0, 3.0, 0.0]], [[1.0, 1.0, 0.0]], [[0.0, 0.0, 2.0]]])
    counts = []

    def look(stage, features, proposals, shapes):
        counts.append(len(proposals[0]))
        return logits[stage].expand(counts[-1], -1), torch.zeros(counts[-1], 4)

    model.roi_heads._look = look
    [found] = model.eval().detect(pictures[0][:1])
    mean = logits.softmax(-1).mean(0)[0]
    for label in (0, 1):
        best = found["scores"][found["labels"] == label]
        torch.testing.assert_close(best, mean[label + 1].expand_as(best))


def test_the_stages_have_losses_of_their_own(model, pictures):
    losses = model.train().losses(*pictures)
    assert set(losses) == {
        "loss",
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_mask",
        *(f"loss_{name}_{stage}" for name in ("classifier", "box_reg") for stage in (1, 2, 3)),
    }
