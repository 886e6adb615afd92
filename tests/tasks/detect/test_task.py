"""The task: its losses, its layers, what it describes, and an evaluation at the original size of the images."""

import pytest
import torch
from timm.models import group_parameters

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.tasks.detect.description import DetectorDescription
from fastitpn.tasks.detect.scores import encode_masks
from fastitpn.tasks.detect.task import DetectTask, score


@pytest.fixture
def task(create, name, small) -> DetectTask:
    about = DetectorDescription(
        model=small["model"],
        detector={"name": name, "arguments": small[name]},
        classes=DetectionClasses(names=("a", "b"), ids=(7, 3)),
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        px=64,
        max_px=96,
    )
    return DetectTask(create(name), about)


def test_layers(task):
    model = task.trained_model
    ids = group_parameters(model, model.group_matcher(), reverse=True)
    assert ids["backbone.patch_embed.proj.weight"] == ids["backbone.pos_embed"] == 0
    assert ids["backbone.stages.0.blocks.0.mlp.fc1.weight"] == 1
    top = sum((1, 1, 2)) + 2 + 1  # blocks, merges
    rest = {name for name in ids if not name.startswith("backbone.") or name.startswith("backbone.pyramid.")}
    assert {ids[name] for name in rest} == {top}
    assert max(i for name, i in ids.items() if name.startswith("backbone.stages")) == top - 1


def test_what_it_describes(task, name):
    described = task.describe()
    keys = ["task", "model", "detector", "classes", "category_ids", "normalisation", "px", "max_px", "acceleration"]
    assert list(described) == keys
    assert DetectorDescription.from_dict(described) == task.about
    assert (task.metrics[0].name, task.metrics[0].title) in (("box_ap", "Box AP"), ("mask_ap", "Mask AP"))
    assert (task.metrics[0].name == "mask_ap") == task.trained_model.has_masks
    assert (described["task"], described["detector"]["name"], described["classes"]) == ("detect", name, ["a", "b"])
    assert described["acceleration"] == task.trained_model.backbone.acceleration.to_dict()
    assert described["category_ids"] == [7, 3]


def test_the_loss_is_that_of_the_detector(task, pictures):
    images, targets = pictures
    batch = {"index": torch.arange(2), "image": images}
    batch |= {key: [target[key] for target in targets] for key in ("boxes", "labels", "masks")}
    torch.manual_seed(2)
    losses = task.train()(batch)
    torch.manual_seed(2)
    expected = task.trained_model.losses(images, targets)
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(
        {key: value.item() for key, value in expected.items()}
    )


def test_training_alone_is_compiled(task, pictures, monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda function: lambda images: calls.append(1) or function(images))
    task.compile_model()
    task.trained_model.train().losses(*pictures)
    assert len(calls) == 1
    task.trained_model.eval().detect(pictures[0])
    assert len(calls) == 1


class Known:
    """Finds what is given, in pixels of images of half the size."""

    def __init__(self, targets):
        self.targets = targets

    def detect_each(self, images, sizes):
        for number, target in enumerate(self.targets):
            boxes = target["boxes"] * sizes[number][0] / images[number].shape[-2]
            yield {"boxes": boxes, "labels": target["labels"], "scores": torch.ones(2)}


def test_figures_are_at_the_original_size(pictures, classes):
    images, targets = pictures
    batch = {
        "image": [image[:, ::2, ::2] for image in images],
        "image_id": [1, 2],
        "size": [tuple(image.shape[-2:]) for image in images],
        "boxes": [target["boxes"] for target in targets],
        "labels": [target["labels"] for target in targets],
        "crowd": [torch.zeros(2, dtype=torch.bool)] * 2,
        "area": [target["masks"].sum((1, 2)).float() for target in targets],
        "masks": [encode_masks(target["masks"]) for target in targets],
    }
    halves = [{**target, "boxes": target["boxes"] / 2} for target in targets]
    assert score([batch], Known(halves), classes).figures()["box_ap"] == pytest.approx(100)
    assert score([batch], Known(targets), classes).figures()["box_ap"] < 50
