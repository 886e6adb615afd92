"""What every task promises to the engine."""

import pytest
import torch
from published import nano, small_pretraining_model
from timm.models import group_parameters
from torch import nn

from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.pretraining.teachers.keys import Student, create_teacher
from fastitpn.runs.checkpoint import to_cpu
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.task import ClassifyTask, MixSettings
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.task import PretrainTask
from fastitpn.training.task import Task

CLASSES = ["a", "b", "c", "d", "e", "f", "g"]
ABOUT = {"model": {"name": "x", "arguments": {}}, "mean": (0.5,) * 3, "std": (0.5,) * 3}


def classify() -> ClassifyTask:
    model = nano(img_size=32, num_classes=len(CLASSES))
    return ClassifyTask(model, ClassifierDescription(**ABOUT, px=32, classes=tuple(CLASSES)), MixSettings())


def pretrain() -> PretrainTask:
    model = small_pretraining_model(teacher_dim=64)
    student = Student(backbone=model.backbone, px=64, grid=4, mean=(0.5,) * 3, std=(0.5,) * 3)
    teacher = create_teacher(EmaKeys(), student)
    return PretrainTask(model, teacher, PretrainDescription(**ABOUT, px=64, teacher={"name": "ema"}))


BATCHES = {
    "classify": {
        "image": torch.zeros(4, 3, 32, 32),
        "label": torch.tensor([0, 1, 2, 3]),
        "index": torch.arange(4),
    },
    "pretrain": {
        "image": torch.zeros(4, 3, 64, 64),
        "teacher_image": torch.zeros(4, 3, 64, 64),
        "masked": torch.arange(16).expand(4, 16) < 6,
        "index": torch.arange(4),
    },
}


@pytest.fixture(params=["classify", "pretrain"])
def task(request) -> Task:
    return {"classify": classify, "pretrain": pretrain}[request.param]().train()


@pytest.fixture
def batch(task):
    torch.manual_seed(0)
    batch = dict(BATCHES[task.describe()["task"]])
    return batch | {name: torch.randn_like(value) for name, value in batch.items() if "image" in name}


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
    before = {name: value.clone() for name, value in batch.items()}
    task(batch)
    assert all(torch.equal(value, before[name]) for name, value in batch.items())


def test_layers_rise_from_the_patches_to_the_head(task):
    model = task.trained_model
    ids = group_parameters(model, model.group_matcher(), reverse=True)
    top = max(ids.values())
    assert set(ids.values()) == set(range(top + 1))
    for name, layer in ids.items():
        if "patch_embed" in name or "pos_embed" in name:
            assert layer == 0, name
        if name.startswith(("head", "predictor")):
            assert layer == top, name


def test_its_description_is_of_plain_types(task):
    description = task.describe()
    assert to_cpu(description) == description
    assert {"task", "classes", "px"} <= set(description)


def test_what_is_not_in_the_trained_model_comes_back(task):
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.add_(torch.randn_like(parameter))
    fresh = {"classify": classify, "pretrain": pretrain}[task.describe()["task"]]()
    fresh.trained_model.load_state_dict(task.trained_model.state_dict())
    fresh.load_extra_state(to_cpu(task.extra_state()))
    theirs = task.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in fresh.state_dict().items())


def test_a_task_without_a_definition_says_so():
    task = Task()
    for call in (lambda: task({}), lambda: task.evaluate([], nn.Identity()), task.describe):
        with pytest.raises(NotImplementedError):
            call()
    task.after_step(1.0)
    assert task.extra_state() == {}
    task.load_extra_state({})
