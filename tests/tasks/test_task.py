"""What every task promises to the loop, and its checkpoints to whoever reads them."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from published import student
from timm.models import group_parameters
from tiny_runs import assert_same
from torch import Tensor

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.data.segmentation.classes import SegmentationClasses, distinct_colors
from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.pretraining.teachers.keys import create_teacher
from fastitpn.runs.checkpoint import to_cpu
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.task import ClassifyTask, MixSettings
from fastitpn.tasks.detect.description import DetectorDescription
from fastitpn.tasks.detect.task import DetectTask
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.task import PretrainTask
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.segment.description import SegmenterDescription
from fastitpn.tasks.segment.task import SegmentTask
from fastitpn.tasks.task import BackboneTask

NAMES = ("a", "b", "c")
PX = 64
SHARED: dict[str, Any] = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "px": PX}
MODEL = {"name": "fastitpn_nano", "arguments": {"img_size": PX}}
RCNN = {"name": "mask_rcnn", "arguments": {"anchor_scale": 4, "box_width": 64, "regions": 32, "mask_width": 16}}


def classify() -> ClassifyTask:
    model = {**MODEL, "arguments": {**MODEL["arguments"], "num_classes": len(NAMES)}}
    about = ClassifierDescription(model=model, classes=NAMES, **SHARED)
    return ClassifyTask(TASKS.spec("classify").create(about), about, MixSettings())


def segment() -> SegmentTask:
    classes = SegmentationClasses(names=NAMES, colors=distinct_colors(NAMES))
    head = {"name": "linear", "arguments": {}, "features": "pyramid"}
    about = SegmenterDescription(model=MODEL, head=head, classes=classes, resize=True, **SHARED)
    return SegmentTask(TASKS.spec("segment").create(about), about)


def detect() -> DetectTask:
    classes = DetectionClasses(names=NAMES, ids=(7, 3, 4))
    about = DetectorDescription(model=MODEL, detector=RCNN, classes=classes, max_px=PX, **SHARED)
    return DetectTask(TASKS.spec("detect").create(about), about)


def pretrain() -> PretrainTask:
    arguments = {"img_size": PX, "teacher_dim": 192, "norm": "end"}
    model = {"name": "fastitpn_nano", "arguments": arguments}
    about = PretrainDescription(model=model, teacher={"name": "ema", "px": PX}, **SHARED)
    network: Any = TASKS.spec("pretrain").create(about)
    teacher = create_teacher(EmaKeys(), student(network.backbone, px=PX))
    return PretrainTask(network, teacher, about)


MAKE: dict[str, Callable[[], BackboneTask[Any]]] = {
    "classify": classify,
    "segment": segment,
    "detect": detect,
    "pretrain": pretrain,
}


def images(count: int) -> Tensor:
    return torch.randn(count, 3, PX, PX)


def batch_of(name: str) -> dict[str, Any]:
    """A micro-batch of a task, with an object, a label or a hidden patch in every image."""
    torch.manual_seed(0)
    if name == "classify":
        return {"index": torch.arange(4), "image": images(4), "label": torch.tensor([0, 1, 2, 1])}
    if name == "segment":
        return {"index": torch.arange(2), "image": images(2), "mask": torch.randint(0, 3, (2, PX, PX)).byte()}
    if name == "detect":
        mask = torch.zeros(1, PX, PX, dtype=torch.bool)
        mask[:, 8:40, 8:40] = True
        return {
            "index": torch.arange(2),
            "image": list(images(2)),
            "boxes": [torch.tensor([[8.0, 8.0, 40.0, 40.0]])] * 2,
            "labels": [torch.tensor([1]), torch.tensor([2])],
            "masks": [mask] * 2,
        }
    hidden = torch.arange(16).expand(4, 16) < 6
    return {"index": torch.arange(4), "image": images(4), "teacher_image": images(4), "masked": hidden}


def test_all_tasks_are_tried():
    assert set(MAKE) == set(TASKS)


@pytest.fixture(params=MAKE)
def task(request) -> BackboneTask[Any]:
    torch.manual_seed(0)
    return MAKE[request.param]().train()


@pytest.fixture
def batch(task) -> dict[str, Any]:
    return batch_of(task.name)


def test_a_loss_that_reaches_every_parameter(task, batch):
    losses = task(batch)
    assert losses["loss"].shape == ()
    losses["loss"].backward()
    model = task.trained_model
    assert not [
        name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
    ]


def test_what_learns_is_inside_the_trained_model(task):
    inside = {id(parameter) for parameter in task.trained_model.parameters()}
    assert not [name for name, p in task.named_parameters() if p.requires_grad and id(p) not in inside]


def test_the_batch_is_left_as_it_was(task, batch):
    before = copy.deepcopy(batch)
    task(batch)
    assert_same(batch, before)


def test_layers_rise_from_the_patches_to_the_head(task):
    model = task.trained_model
    ids = group_parameters(model, model.group_matcher(), reverse=True)
    top = max(ids.values())
    assert set(ids.values()) == set(range(top + 1))
    assert set(ids) == {name for name, _ in model.named_parameters()}
    heads = ("head", "predictor", "rpn", "roi_heads", "backbone.pyramid")
    assert {layer for name, layer in ids.items() if "patch_embed" in name or "pos_embed" in name} == {0}
    assert {layer for name, layer in ids.items() if name.startswith(heads)} == {top}


def test_its_description_is_of_plain_types(task):
    description = task.describe()
    assert to_cpu(description) == description
    assert {"task", "classes", "px"} <= set(description)
    assert description["task"] == task.name


def test_its_description_is_enough_to_build_the_model_again(task):
    description, spec = task.describe(), TASKS.spec(task.name)
    assert set(spec.description.needed) <= set(description)
    about = spec.description.from_dict(description)
    assert about == task.about
    model = spec.create(about)
    model.load_state_dict(task.trained_model.state_dict())
    assert spec.backbone(model) is not spec.backbone(task.trained_model) is task.backbone


def test_its_metrics_are_those_of_its_kind(task):
    spec = TASKS.spec(task.name)
    assert set(task.metrics) <= set(spec.all_metrics)
    assert not task.metrics or task.metrics == spec.metrics(task.about)


def test_what_is_not_in_the_trained_model_comes_back(task):
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.add_(torch.randn_like(parameter))
    fresh = MAKE[task.name]()
    fresh.trained_model.load_state_dict(task.trained_model.state_dict())
    fresh.load_extra_state(to_cpu(task.extra_state()))
    theirs = task.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in fresh.state_dict().items())


LEARNING = {"trunk": ("pyramid.", "fc_norm.", "head."), "all_but_head": ("head.",)}


@pytest.mark.parametrize("part", list(LEARNING))
def test_a_frozen_part_learns_nothing_and_drops_nothing(task, part):
    task.train()
    task.freeze(part)
    network, backbone = task.trained_model, task.backbone
    inside = {id(parameter) for parameter in backbone.parameters()}
    names = {name.removeprefix("backbone."): p for name, p in network.named_parameters()}
    for name, parameter in names.items():
        learns = id(parameter) not in inside or name.startswith(LEARNING[part])
        assert parameter.requires_grad is learns, name
    assert any(parameter.requires_grad for parameter in names.values())
    assert network.training
    task.eval()
    task.train()
    assert not any(module.training for module in backbone.stages.modules())
    if backbone is not network:
        assert backbone.training is (part == "trunk")
