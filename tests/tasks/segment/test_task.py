"""The task: its losses, its layers, what it describes, and figures that equal a confusion matrix by hand."""

import numpy as np
import pytest
import torch
from timm.models import group_parameters

from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses, distinct_colors
from fastitpn.tasks.segment.description import SegmenterDescription
from fastitpn.tasks.segment.model import create_segmenter
from fastitpn.tasks.segment.task import SegmentTask

MODEL = {"name": "fastitpn_nano", "arguments": {"img_size": 32}}
HEAD = {"name": "linear", "arguments": {}, "features": "pyramid"}
NAMES = ("a", "b", "c")


@pytest.fixture
def task() -> SegmentTask:
    torch.manual_seed(0)
    network = create_segmenter(MODEL, HEAD, 3)
    for layer in network.head.classifiers:
        torch.nn.init.normal_(layer.weight)
    about = SegmenterDescription(
        model=MODEL,
        head=HEAD,
        classes=SegmentationClasses(names=NAMES, colors=distinct_colors(NAMES)),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        px=32,
        resize=True,
    )
    return SegmentTask(network, about).eval()


def test_layers(task):
    model = task.trained_model
    ids = group_parameters(model, model.group_matcher(), reverse=True)
    assert ids["backbone.patch_embed.proj.weight"] == ids["backbone.pos_embed"] == 0
    assert ids["backbone.stages.0.blocks.0.mlp.fc1.weight"] == 1
    top = sum((1, 1, 6)) + 2 + 1  # blocks, merges
    assert {ids[name] for name in ids if name.startswith(("head.", "backbone.pyramid."))} == {top}
    assert max(i for name, i in ids.items() if name.startswith("backbone.stages")) == top - 1


def test_what_it_describes(task):
    described = task.describe()
    assert (described["task"], described["head"], described["classes"]) == ("segment", HEAD, list(NAMES))
    assert described["acceleration"] == task.trained_model.backbone.acceleration.to_dict()


def test_the_loss_is_that_of_the_head(task):
    batch = {"image": torch.randn(2, 3, 32, 32), "mask": torch.randint(0, 3, (2, 32, 32), dtype=torch.uint8)}
    losses = task(batch)
    expected = task.trained_model.head.losses(task.trained_model(batch["image"]), batch["mask"])
    assert torch.equal(losses["loss"], expected["loss"])


def test_weights_of_classes_reach_the_loss_and_no_checkpoint(task):
    weights = torch.tensor([3.0, 0.5, 1.0])
    weighed = SegmentTask(task.trained_model, task.about, weights)
    batch = {"image": torch.randn(2, 3, 32, 32), "mask": torch.randint(0, 3, (2, 32, 32), dtype=torch.uint8)}
    head = task.trained_model.head
    expected = head.losses(task.trained_model(batch["image"]), batch["mask"], weights)
    assert torch.equal(weighed(batch)["loss"], expected["loss"])
    assert not torch.equal(weighed(batch)["loss"], task(batch)["loss"])
    assert weighed.state_dict().keys() == task.state_dict().keys()


def test_figures_equal_those_by_hand_at_the_original_size(task):
    generator = torch.Generator().manual_seed(3)
    batches, matrix = [], np.zeros((3, 3), int)
    for height, width in ((50, 41), (32, 90)):
        image = torch.randn(3, height, width, generator=generator)
        mask = torch.randint(0, 3, (height, width), generator=generator).to(torch.uint8)
        mask[:5] = IGNORE
        batches.append({"image": image[None], "mask": mask[None]})
        # by hand: resize, run, resize back, argmax, count
        size = task.views.sizes(height, width)[0]
        resized = torch.nn.functional.interpolate(image[None], size=size, mode="bilinear", antialias=True)
        with torch.no_grad():
            logits = task.trained_model(resized)["logits"]
        labels = torch.nn.functional.interpolate(logits, size=(height, width), mode="bilinear")[0].argmax(0)
        for p, t in zip(labels.ravel().tolist(), mask.ravel().tolist(), strict=True):
            if t != IGNORE:
                matrix[t, p] += 1
    union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    figures = task.evaluate(batches, task.trained_model)
    assert figures["miou"] == pytest.approx(100 * (matrix.diagonal() / union).mean(), abs=0.05)
    assert figures["pixel_accuracy"] == pytest.approx(100 * matrix.diagonal().sum() / matrix.sum(), abs=0.05)


def test_training_alone_is_compiled(task, monkeypatch):
    """In an evaluation nearly every image has a size of its own, for each of which a compiler would begin again."""
    calls = []
    monkeypatch.setattr(torch, "compile", lambda function: lambda images: calls.append(1) or function(images))
    batch = {"image": torch.randn(2, 3, 32, 32), "mask": torch.zeros(2, 32, 32, dtype=torch.uint8)}
    plain = task(batch)["loss"]
    task.compile_model()
    assert torch.equal(task(batch)["loss"], plain)
    assert len(calls) == 1
    task.evaluate([batch], task.trained_model)
    assert len(calls) == 1
